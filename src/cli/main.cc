// diptych: the command line. Subcommands are listed in one table; each has its own file.

#include <array>
#include <string>
#include <vector>

#include "cli/command.h"

#ifndef DIPTYCH_VERSION
#error "DIPTYCH_VERSION comes from the build"
#endif

namespace diptych::cli {

namespace {

constexpr std::array kCommands = {
    Command{"export", "Export a Llama checkpoint to a Core ML .pte",
            "  diptych export -c model.pth -p params.json -o model.pte --multifunction\n"
            "  diptych export -c model.pth -p params.json -o model.pte --max_context_len 512 \\\n"
            "      --input_len 32 -E 4,32 --linear_quantize b4w\n",
            setup_export},
    Command{
        "run", "Generate text with an exported model",
        "  diptych run model.pte -t tokenizer.model -p \"Once upon a time\" -n 100\n"
        "  diptych run model.pte -t tokenizer.model -p \"Hello\" --temperature 0.8 --top-p 0.9\n"
        "  diptych run model.pte --ids 1,403,407 -n 20 --print-ids\n",
        setup_run},
    Command{"inspect", "Show what a .pte holds",
            "  diptych inspect model.pte\n"
            "  diptych inspect model.pte --json\n"
            "  diptych inspect model.pte --mil --partition 1 --function forward\n",
            setup_inspect},
    Command{"extract", "Write each partition's .mlpackage",
            "  diptych extract model.pte -o packages/\n", setup_extract},
    Command{"synth", "Write a random checkpoint of a known shape",
            "  diptych synth --shape 110m -o synth-110m\n"
            "  diptych synth --shape dim=256,layers=4,heads=8,kv_heads=2,vocab=1000 -o small\n",
            setup_synth},
};

constexpr int kFailure = 1;
constexpr int kWrongUsage = 2;
constexpr int kInterrupted = 130;  // as shells report SIGINT
constexpr std::string_view kUsageMark = "usage: ";

// "--max-context-len=5" -> "--max_context_len=5": dashes and underscores mean the same.
std::string normalise(std::string argument) {
  if (argument.rfind("--", 0) != 0) return argument;
  const size_t end = std::min(argument.find('='), argument.size());
  for (size_t i = 2; i < end; ++i) {
    if (argument[i] == '-') argument[i] = '_';
  }
  return argument;
}

int main(int argc, char** argv) {
  CLI::App app(
      "Exports Llama-family models to Core ML programs in ExecuTorch .pte files, and runs such\n"
      "programs on Linux.",
      "diptych");
  app.set_version_flag("--version", "diptych " DIPTYCH_VERSION);
  app.require_subcommand(1);
  app.fallthrough(false);

  std::vector<Action> actions;
  std::vector<CLI::App*> parsers;
  for (const Command& command : kCommands) {
    CLI::App* parser = app.add_subcommand(command.name, command.summary);
    parser->footer(std::string("Examples:\n") + command.examples);
    actions.push_back(command.setup(*parser));
    parsers.push_back(parser);
  }

  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) arguments.push_back(normalise(argv[i]));
  try {
    app.parse(arguments);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::Error& error) {
    std::string prefix = "diptych";
    for (CLI::App* parser : app.get_subcommands()) prefix += " " + parser->get_name();
    fmt::print(stderr, "{}: {}; see {} --help\n", prefix, error.what(), prefix);
    return kWrongUsage;
  }

  for (size_t i = 0; i < kCommands.size(); ++i) {
    if (!parsers[i]->parsed()) continue;
    const Status status = actions[i]();
    if (status) return 0;
    if (status.error().code == ErrorCode::Cancelled) return kInterrupted;
    fmt::print(stderr, "diptych {}: {}\n", kCommands[i].name, status.error().to_string());
    return is_usage_error(status.error()) ? kWrongUsage : kFailure;
  }
  return kWrongUsage;
}

}  // namespace

tl::unexpected<Error> usage_error(std::string message) {
  return tl::unexpected(
      Error{ErrorCode::InvalidArgument, {}, std::string(kUsageMark) + std::move(message), {}});
}

bool is_usage_error(const Error& error) { return error.message.rfind(kUsageMark, 0) == 0; }

}  // namespace diptych::cli

int main(int argc, char** argv) { return diptych::cli::main(argc, argv); }
