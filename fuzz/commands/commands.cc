#include "commands.h"

#include <span>

#include "hostile.h"

namespace diptych::fuzz {

namespace {

using Words = Command::Words;

// Some of the options, in their order.
void draw_options(Command& command, std::span<const Words> options, Random& random) {
  const size_t rarity = 2 + random.below(8);
  for (const Words& option : options) {
    if (random.one_in(rarity)) command.options.push_back(option);
  }
}

const Words kExportOptions[] = {
    {"--multifunction"},
    {"--linear_quantize", "none"},
    {"-E", "none"},
    {"--dtype", "fp32"},
    {"--no_graph_breaks"},
    {"--name", "some name"},
    {"--no_tokenizer"},
    {"--quant_algorithm", "mse"},
    {"--target_split_size", "0"},
    {"--max_splits", "2"},
    {"--weight_sharing", "disabled"},
};

const Words kSamplingOptions[] = {
    {"--temperature", "0.7"}, {"--top_k", "5"},
    {"--top_p", "0.9"},       {"--min_p", "0.05"},
    {"--seed", "7"},          {"--stop", "a"},
    {"--ignore_eos"},         {"--repetition_penalty", "1.1"},
    {"--logit_bias", "3=-1"}, {"--numerics", "precise"},
};

const Words kInspections[] = {{"--json"}, {"--mil"}, {}, {"--mil", "--partition", "1"}};

// A text that is an argument, so without NUL and no option.
std::string argument_text(Random& random) {
  std::string text = random.one_in(2) ? hostile_text(random) : "Hello world, abc 123";
  std::erase(text, '\0');
  if (text.starts_with('-')) text[0] = ' ';
  return text.substr(0, 100000);
}

// A text of one piece again and again, the worst for searches that try every end.
std::string long_text(Random& random) {
  constexpr const char* kPieces[] = {"a", "ab",       " ",         "a ", "\n",
                                     "1", "\xc3\xa9", "e\xcc\x81", "'s"};
  const std::string piece = random.pick(kPieces);
  std::string text;
  for (size_t i = 2000 << random.below(8); i > 0; --i) text += piece;
  return text + "b!";
}

Command run_command(const std::string& path, Random& random) {
  Command command;
  command.words = {"run", path, "-n", "2", "--stats", "none", "--threads", "1"};
  if (random.one_in(2)) {
    command.words.insert(command.words.end(), {"--ids", "1,2,3"});
  } else {
    command.words.insert(command.words.end(), {"-p", "abc hello"});
  }
  if (path == kSinglePath && random.one_in(4)) {
    command.words.insert(command.words.end(), {"--lookahead", "--ngram_size", "2", "--window_size",
                                               "2", "--n_verifications", "2"});
  } else {
    draw_options(command, kSamplingOptions, random);
  }
  if (random.one_in(4)) command.options.push_back({"--print_ids"});
  command.prints_text = true;
  return command;
}

Command metadata_command(const std::string& path, Random& random) {
  Command command;
  switch (random.below(4)) {
    case 0:
      command.words = {"metadata", "show", path};
      if (random.one_in(2)) command.options.push_back({"--json"});
      break;
    case 1:
      command.words = {"metadata", "set", path, "get_model_name=some"};
      command.outputs = {path};  // in place
      command.edits = path;
      break;
    case 2:
      command.words = {"metadata", "set", path, "get_eos_ids=[1,2]", "-o", "n.pte"};
      command.outputs = {"n.pte"};
      command.edits = path;
      break;
    default:
      command.words = {"metadata", "rename-method", path, "forward", "decode", "-o", "n.pte"};
      command.outputs = {"n.pte"};
      command.edits = path;
  }
  return command;
}

}  // namespace

Files program_files(const Models& models, Random& random) {
  const bool single = random.one_in(2);
  return {{single ? kSinglePath : kMultiPath, single ? models.single : models.multi},
          {"text.txt", "hello abc abc hello"}};
}

std::string program_path(const Files& files) {
  return files.contains(kSinglePath) ? kSinglePath : kMultiPath;
}

Command export_command(const std::string& source, Random& random) {
  Command command;
  command.words = {"export",      source, "--max_context_len", "64",
                   "--input_len", "8",    "--threads",         "1"};
  // Other recipes calibrate, which takes longer.
  if (!random.one_in(6)) command.words.insert(command.words.end(), {"--recipe", "upstream"});
  draw_options(command, kExportOptions, random);
  if (random.one_in(5)) {
    command.words.push_back("--dry_run");
    return command;
  }
  command.words.insert(command.words.end(), {"-o", "o.pte"});
  command.outputs = {"o.pte"};
  command.is_export = true;
  if (random.one_in(8)) {
    command.words.insert(command.words.end(), {"--quant_report", "report.json"});
    command.outputs.push_back("report.json");
  }
  return command;
}

Command tokenize_command(const std::string& source, Random& random) {
  Command command;
  command.words = {"tokenize", "-t", source};
  command.prints_text = true;  // pieces or their text
  const Words kOptions[] = {{"--json"}, {"--no_bos"}, {"--specials"}};
  draw_options(command, kOptions, random);
  if (random.one_in(4)) {
    command.words.insert(command.words.end(), {"--decode", "1,2,80,90,259,262"});
  } else if (random.one_in(2)) {
    command.words.push_back("--stdin");
    command.input = random.one_in(4) ? long_text(random) : hostile_text(random) + " hello abc";
  } else {
    command.words.push_back(argument_text(random));
  }
  return command;
}

Command program_command(const std::string& path, Random& random) {
  Command command;
  switch (random.below(10)) {
    case 0:
    case 1:
      command.words = {"inspect", path};
      command.options = {random.pick(kInspections)};
      return command;
    case 2:
    case 3:
      command.words = {"extract", path, "-o", "packages"};
      command.outputs = {"packages"};
      return command;
    case 4:
    case 5:
      return metadata_command(path, random);
    case 6:
      return random.one_in(2) ? tokenize_command(path, random)
                              : chat_command(path, "hello\nagain\n", random);
    case 7:
      command.words = {"eval", path, "--text", "text.txt", "--threads", "1"};
      if (random.one_in(2)) command.options.push_back({"--json"});
      if (random.one_in(4)) command.options.push_back({"--against_numerics", "typed"});
      return command;
    case 8:
      if (random.one_in(4)) {
        // More tokens than the context holds: the machine's limits, which take seconds to measure,
        // are not asked for.
        command.words = {"bench", path, "-p", "10000", "-n", "0", "-d", "0", "-t", "1", "-r", "1"};
        return command;
      }
      [[fallthrough]];
    default:
      return run_command(path, random);
  }
}

Command chat_command(const std::string& path, const std::string& input, Random& random) {
  Command command;
  command.words = {"chat", path, "-n", "2", "--stats", "none", "--threads", "1"};
  draw_options(command, kSamplingOptions, random);
  if (random.one_in(4)) command.options.push_back({"--system", "Be brief."});
  if (random.one_in(4)) command.options.push_back({"--on_full", "slide"});
  command.input = input;
  command.prints_text = true;
  return command;
}

}  // namespace diptych::fuzz
