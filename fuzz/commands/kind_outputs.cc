// Outputs that name an input of the same run, or something that is no earlier output: refused, with
// everything as it was.

#include "commands.h"

namespace diptych::fuzz {

namespace {

class OutputsKind : public Kind {
 public:
  explicit OutputsKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "outputs"; }

  Files seed(Random&) const override {
    Files files = {{"model.gguf", models_.gguf},
                   {kSinglePath, models_.single},
                   {"m/tokenizer.json", models_.byte_level},
                   {"m/generation_config.json", "{}"},
                   {"t.jinja", "{{ messages[0].content }}"}};
    for (const auto& [name, bytes] : models_.sharded) files["m/" + name] = bytes;
    return files;
  }

  void mutate(Files&, Random&) const override {}  // the files are good

  Command command(const Files& files, Random& random) const override {
    const std::string of_model = in_model(files, random);
    const std::string pte = kSinglePath;
    const std::vector<std::string> context = {"--max_context_len", "64", "--threads", "1"};
    Command command;
    switch (random.below(9)) {
      case 0:
        command.words = {"export", "m", "-o", of_model};
        break;
      case 1:
        command.words = {"export", "model.gguf", "-o", spelt("model.gguf", random)};
        break;
      case 2:
        command.words = {"export", "m", "-o", "o.pte", "--quant_report", of_model};
        break;
      case 3:
        command.words = {"export", "m", "-o", "o.pte", "--quant_report", "./o.pte"};
        break;
      case 4:
        command.words = {"export",           "model.gguf", "-t",
                         "m/tokenizer.json", "-o",         spelt("m/tokenizer.json", random)};
        break;
      case 5:
        command.words = {"extract", pte, "-o", spelt(pte, random)};
        break;
      case 6:
        command.words = {
            "metadata", "set", pte, "--chat_template", "t.jinja", "-o", spelt("t.jinja", random)};
        break;
      case 7:
        command.words = {
            "metadata", "set", pte, "--tokenizer", "m", "-o", spelt("m/tokenizer.json", random)};
        break;
      default:
        command.words = {"synth", "--shape", "dim=16,layers=1,heads=2", "--format", "hf",
                         "-o",    "m"};
    }
    if (command.words[0] == "export") {
      command.words.insert(command.words.end(), context.begin(), context.end());
    }
    command.must_fail = true;
    return command;
  }

 private:
  static std::string in_model(const Files& files, Random& random) {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files) {
      if (name.starts_with("m/")) names.push_back(name);
    }
    return spelt(random.pick(names), random);
  }
  // One of the ways to name a file.
  static std::string spelt(const std::string& path, Random& random) {
    constexpr const char* kWays[] = {"", "./", "m/../", "m/.././"};
    return random.pick(kWays) + path;
  }

  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> outputs_kind(const Models& models) {
  return std::make_unique<OutputsKind>(models);
}

}  // namespace diptych::fuzz
