// diptych: the command line. Subcommands are listed in one table; each has its own file.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "answer/opened_model.h"
#include "base/in_quotes.h"
#include "base/mapped_ranges.h"
#include "base/run_files.h"
#include "cli/command.h"
#include "cli/hints.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "kernels/isa.h"

#ifndef DIPTYCH_VERSION
#error "DIPTYCH_VERSION comes from the build"
#endif

namespace diptych::cli {

namespace {

constexpr std::array kCommands = {
    Command{"export", "Export a model to a Core ML .pte",
            "  diptych export ./Llama-3.2-1B-Instruct -o llama.pte\n"
            "  diptych export model.gguf --dry-run\n"
            "  diptych export model.gguf -o small.pte --target-size 90M\n"
            "  diptych export -c model.pth -p params.json -o model.pte --multifunction\n"
            "  diptych export -c model.pth -p params.json -o model.pte --max_context_len 512 \\\n"
            "      --input_len 32 -E 4,32 --linear_quantize b4w\n"
            "  diptych export ./model -o model.pte --prefill-len 64,512 --verify-len 16\n"
            "  diptych export ./model -o model.pte --adapter french=./lora-french\n"
            "  diptych export ./model -o model.pte --recipe best --calibration text.txt \\\n"
            "      --quantize-override 'layers.0.*=c8w' --quant-report errors.json\n",
            setup_export},
    Command{
        "run", "Generate text with an exported model",
        "  diptych run model.pte -p \"Once upon a time\" -n 100\n"
        "  diptych run model.pte -t tokenizer.model -p \"Hello\" --temperature 0.8 --top-p 0.9\n"
        "  diptych run model.pte --prompt-file prompt.txt --specials --no-bos\n"
        "  diptych run model.pte --prompt-file code.txt --prompt-lookup\n"
        "  diptych run large.pte -p \"Hello\" --draft small.pte\n"
        "  diptych run model.pte --ids 1,403,407 -n 20 --print-ids\n",
        setup_run},
    Command{
        "chat", "Talk with a model",
        "  diptych chat llama.pte\n"
        "  diptych chat llama.pte --system \"Answer in one sentence.\" --on-full slide\n"
        "  diptych chat model.pte -t tokenizer.model --chat-template template.jinja <turns.txt\n"
        "  diptych chat large.pte --draft small.pte --stats text\n"
        "  diptych chat llama.pte --commands <session.txt\n",
        setup_chat},
    Command{
        "serve", "Serve models by OpenAI's interface, with a page to chat on",
        "  diptych serve llama.pte\n"
        "  diptych serve large.pte small.pte --slots 4 --port 8000\n"
        "  diptych serve llama.pte --host 0.0.0.0 --api-key-file keys.txt\n"
        "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
        "      -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'\n",
        setup_serve},
    Command{"eval", "Measure how well a model predicts a text",
            "  diptych eval model.pte -t tokenizer.model --text held_out.txt\n"
            "  diptych eval model.pte -t tokenizer.model --text held_out.txt --numerics typed \\\n"
            "      --against-numerics precise --json\n"
            "  diptych eval model.pte --ids ids.txt --against other.pte --max-positions 1000\n",
            setup_eval},
    Command{"bench", "Measure the speed of models beside this machine's limits",
            "  diptych bench model.pte\n"
            "  diptych bench model.pte -p 64,512 -n 128 -d 0,512 -t 1,2 -r 5\n"
            "  diptych bench a.pte b.pte -p 0 -n 64 --json\n"
            "  diptych bench model.pte -p 0 -n 64 -b 1,2,4,8\n"
            "  diptych bench model.pte -p 0 -n 128 --prompt-lookup --text article.txt\n"
            "  diptych bench model.pte --profile --trace trace.json\n",
            setup_bench},
    Command{"cpu", "Show what this machine has and what the engine uses of it",
            "  diptych cpu\n"
            "  DIPTYCH_ISA=scalar diptych cpu --json\n",
            setup_cpu},
    Command{"predict", "Call a function of any Core ML program",
            "  diptych predict model.mlpackage --input x=x.npy\n"
            "  diptych predict model.mlpackage --input inputs.npz --output outputs.npz\n"
            "  diptych predict model.pte --function forward --input input_0=x.npy --json\n",
            setup_predict},
    Command{"inspect", "Show what a .pte or a Core ML model holds",
            "  diptych inspect model.pte\n"
            "  diptych inspect model.mlpackage\n"
            "  diptych inspect model.pte --json\n"
            "  diptych inspect model.pte --max-unshared 1M\n"
            "  diptych inspect model.pte --mil --partition 1 --function forward\n",
            setup_inspect},
    Command{"verify", "Check that a file is what it is meant to be",
            "  diptych verify model.pte\n"
            "  diptych verify model.pte --source ./Llama-3.2-1B-Instruct --max-kl 0.1\n"
            "  diptych verify model.mlpackage --reference io.npz --json\n",
            setup_verify},
    Command{"lint", "Say what leaves the Neural Engine, or is slow or unsafe there",
            "  diptych lint model.pte\n"
            "  diptych lint model.mlpackage --json\n"
            "  diptych lint --rules\n",
            setup_lint},
    Command{"diff", "Compare two files, or two functions of one, operation by operation",
            "  diptych diff a.pte b.pte\n"
            "  diptych diff model.pte#prefill model.pte#forward\n"
            "  diptych diff model.pte model.pte --against-numerics typed\n"
            "  diptych diff a.mlpackage b.mlpackage --structure --json\n",
            setup_diff},
    Command{"report", "Show a file as one page of HTML",
            "  diptych report model.pte -o report.html\n"
            "  diptych report model.pte --profile --verify --source ./model -o report.html\n",
            setup_report},
    Command{"extract", "Write each partition's .mlpackage",
            "  diptych extract model.pte -o packages/\n", setup_extract},
    Command{
        "metadata", "Show or edit what a .pte says of itself, without another export",
        "  diptych metadata show model.pte\n"
        "  diptych metadata set model.pte get_model_name=Tiny get_eos_ids=[2,7] -o named.pte\n"
        "  diptych metadata set model.pte --tokenizer tokenizer.json --chat-template chat.jinja\n"
        "  diptych metadata rename-method model.pte vocab_size get_vocab_size\n",
        setup_metadata},
    Command{
        "synth", "Write a random checkpoint of a known shape",
        "  diptych synth --shape 110m -o synth-110m\n"
        "  diptych synth --shape dim=256,layers=4,heads=8,kv_heads=2,vocab=1000 -o small\n"
        "  diptych synth --shape dim=256,layers=4,heads=8 --family qwen3 --format gguf -o qwen\n",
        setup_synth},
    Command{"tokenize", "Turn text into token ids, or ids into text",
            "  diptych tokenize -t tokenizer.model \"Once upon a time\"\n"
            "  diptych tokenize -t model.pte --stdin --no-bos --json <prompt.txt\n"
            "  diptych tokenize -t tokenizer.json --decode 9906,1917\n",
            setup_tokenize},
    Command{"worker", "Serve a model to ExecuTorch's llm_server, in lines of JSON",
            "  diptych worker llama.pte\n"
            "  diptych-worker --model_path llama.pte --tokenizer_path tokenizer.json\n"
            "  echo '{\"prompt\": \"Once upon a time\", \"max_new_tokens\": 20}' | diptych worker "
            "model.pte\n",
            setup_worker},
};

constexpr int kFailure = 1;
constexpr int kWrongUsage = 2;
constexpr int kInterrupted = 130;  // as shells report SIGINT

// Variables that every command might depend on: a bad value is reported, not passed over.
Status check_environment() {
  TRY(as_usage(kernels::configured_isa()));
  kernels::selected_isa();  // also for what is not run by the engine
  TRY(numerics_from(""));
  return {};
}

std::string command_names() {
  std::string names;
  for (const Command& command : kCommands)
    names += (names.empty() ? "" : ", ") + std::string(command.name);
  return names;
}

// The arguments, and those that the program's own name stands for: who starts a worker of
// ExecuTorch's llm_server names a program without a command, so one called diptych-worker is
// `diptych worker`.
std::vector<char*> arguments_of(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  static char worker[] = "worker";
  const std::string_view name = argc > 0 ? argv[0] : "";
  if (name.substr(name.rfind('/') + 1) == "diptych-worker") {
    arguments.insert(arguments.begin() + 1, worker);
  }
  arguments.push_back(nullptr);
  return arguments;
}

int main(int given, char** names) {
  std::vector<char*> arguments = arguments_of(given, names);
  char** const argv = arguments.data();
  const int argc = static_cast<int>(arguments.size()) - 1;
  Parser parser(
      "diptych",
      "Exports Llama-family models to Core ML programs in ExecuTorch .pte files, and runs "
      "such\nprograms on Linux.",
      DIPTYCH_VERSION);
  std::vector<Action> actions;
  std::vector<Parser*> parsers;
  for (const Command& command : kCommands) {
    parsers.push_back(parser.add_command(command.name, command.summary));
    parsers.back()->set_examples(command.examples);
    actions.push_back(command.setup(*parsers.back()));
  }

  const std::string first = argc < 2 ? "" : argv[1];
  constexpr std::array kGlobalOptions = {"-h", "--help", "--version"};
  const auto is_first = [&](const char* name) { return first == name; };
  if (std::none_of(kCommands.begin(), kCommands.end(),
                   [&](const Command& command) { return first == command.name; }) &&
      std::none_of(kGlobalOptions.begin(), kGlobalOptions.end(), is_first)) {
    tell("diptych: expected a command ({}), found {}; see diptych --help", command_names(),
         in_quotes(first));
    return kWrongUsage;
  }
  const Result<std::string> text = parser.parse(argc, argv);
  if (!text) {
    const Error& error = text.error();
    tell("{}: {}; see {} --help", error.context, shortened(error.message, kLongestLine / 2),
         error.context);
    return kWrongUsage;
  }
  if (!text->empty()) {
    if (const Status status = write_results(*text)) return 0;
    fmt::print(stderr, "diptych: cannot write to standard output\n");
    return kFailure;
  }

  for (size_t i = 0; i < kCommands.size(); ++i) {
    if (!parsers[i]->parsed()) continue;
    set_process_command(kCommands[i].name);
    const RunFiles files;
    Status status = check_environment();
    if (status) status = actions[i]();
    if (status) status = check_mapped_files();
    if (status) return 0;
    if (status.error().code == ErrorCode::Cancelled) return kInterrupted;
    Error error = worded(std::move(status.error()), kCommands[i].name);
    if (error.code == ErrorCode::Usage) {
      error.context.clear();
      if (error.items.empty()) {  // a list says by itself what is possible
        error.message = fmt::format("{}; see diptych {} --help", error.message, kCommands[i].name);
      }
      fmt::print(stderr, "diptych {}: {}\n", kCommands[i].name, error.to_string());
      return kWrongUsage;
    }
    fmt::print(stderr, "diptych {}: {}\n", kCommands[i].name, error.to_string());
    return kFailure;
  }
  return kWrongUsage;
}

}  // namespace

tl::unexpected<Error> usage_error(std::string message) {
  return tl::unexpected(Error{ErrorCode::Usage, {}, std::move(message), {}});
}

Result<engine::Numerics> numerics_from(const std::string& option) {
  if (!option.empty()) return as_usage(within("--numerics", engine::numerics_from_name(option)));
  const char* variable = std::getenv("DIPTYCH_NUMERICS");
  if (variable == nullptr || *variable == '\0') return engine::Numerics::Fast;
  return as_usage(within("DIPTYCH_NUMERICS", engine::numerics_from_name(variable)));
}

void add_threads_option(Parser& parser, int& threads) {
  parser.add_option("--threads", threads, "Threads; 0: all CPUs of this process")
      ->check(number_between(0, 1024))
      ->show_default();
}

void add_engine_options(Parser& parser, int& threads, std::string& numerics) {
  add_threads_option(parser, threads);
  parser.add_option("--numerics", numerics, kNumericsHelp);
}

Result<answer::OpenedModel> open_model(const std::string& path,
                                       const answer::OpenOptions& options) {
  auto model = TRY(answer::OpenedModel::open(path, options));
  for (const std::string& note : model.notes()) tell("diptych: warning: {}", note);
  return model;
}

}  // namespace diptych::cli

// Our code throws nothing, but the standard library does when it is asked for more than can be
// addressed, and fmt::print when stderr is closed or full: neither is a reason to abort.
int main(int argc, char** argv) {
  diptych::cli::guard_process();
  try {
    return diptych::cli::main(argc, argv);
  } catch (const std::exception& error) {
    const bool too_much = dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
                          dynamic_cast<const std::length_error*>(&error) != nullptr;
    std::fprintf(stderr, "diptych: %s\n",
                 too_much ? "out of memory: more asked for than there can be"
                          : diptych::one_line(error.what()).c_str());
    return diptych::cli::kFailure;
  }
}
