// diptych worker: a model behind ExecuTorch's worker protocol, in lines of JSON.

#include "serve/worker.h"

#include <iostream>

#include "base/json.h"
#include "cli/command.h"
#include "cli/terminal.h"

namespace diptych::cli {

namespace {

constexpr size_t kMostLineBytes = 64 << 20;

struct WorkerArguments {
  std::string model, tokenizer, numerics;
  int threads = 0;
  int64_t sessions = 4;
};

// The next line; nothing at the end of the input.
Result<std::optional<std::string>> read_line() {
  std::string line;
  for (int c = std::cin.get(); c != std::istream::traits_type::eof(); c = std::cin.get()) {
    if (c == '\n') return line;
    if (line.size() == kMostLineBytes) {
      return invalid_data("a request of more than {} bytes", kMostLineBytes);
    }
    line.push_back(static_cast<char>(c));
  }
  if (line.empty()) return std::nullopt;
  return line;
}

Status run_worker(const WorkerArguments& a) {
  if (a.model.empty()) return usage_error("model is required");
  answer::OpenOptions options;
  options.numerics = TRY(numerics_from(a.numerics));
  options.threads = a.threads;
  options.tokenizer = answer::Part::Needed;
  options.tokenizer_path = a.tokenizer;
  options.chat_template = answer::Part::Unused;
  const answer::OpenedModel model = TRY(open_model(a.model, options));
  serve::Worker worker(model, static_cast<size_t>(a.sessions));
  const auto emit = [](const Json& line) {
    return write_results(dump_json(line) + "\n").has_value();
  };
  TRY(write_results(dump_json(worker.ready()) + "\n"));
  for (;;) {
    const std::optional<std::string> line = TRY(read_line());
    if (!line) return {};
    if (!line->empty()) TRY(worker.serve(*line, emit));
  }
}

}  // namespace

Action setup_worker(Parser& parser) {
  auto arguments = std::make_shared<WorkerArguments>();
  WorkerArguments& a = *arguments;
  Option* const model = parser.add_option("model", a.model, "The .pte to serve");
  parser.add_option("--model_path", a.model, "The same, as llm_server names it")->excludes(model);
  parser.add_option("-t,--tokenizer,--tokenizer_path", a.tokenizer,
                    std::string(kTokenizerHelp) + " (default: the one that the model carries)");
  parser
      .add_option("--sessions", a.sessions, "Named sessions at most, each with a cache of its own")
      ->check(number_between(0, 256))
      ->show_default();
  add_engine_options(parser, a.threads, a.numerics);
  return [arguments] { return run_worker(*arguments); };
}

}  // namespace diptych::cli
