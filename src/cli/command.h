// The subcommands of `diptych`. Each lives in a file of its own, which reads as the pipeline it
// runs; main.cc lists them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "cli/parser.h"
#include "engine/numerics.h"

namespace diptych::answer {
class OpenedModel;
struct OpenOptions;
}  // namespace diptych::answer

namespace diptych::cli {

// What a subcommand does once its options are parsed. An error is printed as
// "diptych <subcommand>: <error>" and ends the process with status 1, or 2 for wrong usage.
using Action = std::function<Status()>;

// Adds options and help to the subcommand's parser and returns its action.
struct Command {
  const char* name;
  const char* summary;
  const char* examples;  // shown below the options in --help
  Action (*setup)(Parser& parser);
};

Action setup_bench(Parser& parser);
Action setup_chat(Parser& parser);
Action setup_cpu(Parser& parser);
Action setup_eval(Parser& parser);
Action setup_export(Parser& parser);
Action setup_extract(Parser& parser);
Action setup_lint(Parser& parser);
Action setup_diff(Parser& parser);
Action setup_verify(Parser& parser);
Action setup_report(Parser& parser);
Action setup_inspect(Parser& parser);
Action setup_metadata(Parser& parser);
Action setup_predict(Parser& parser);
Action setup_run(Parser& parser);
Action setup_serve(Parser& parser);
Action setup_synth(Parser& parser);
Action setup_tokenize(Parser& parser);
Action setup_worker(Parser& parser);

// An error of wrong usage (ErrorCode::Usage) found after parsing: options that exclude each other.
tl::unexpected<Error> usage_error(std::string message);
// The same result; its error, if any, is one of wrong usage.
template <class T>
Result<T> as_usage(Result<T> result) {
  if (result) return result;
  Error error = std::move(result.error());
  error.message = (error.context.empty() ? "" : error.context + ": ") + error.message;
  auto usage = usage_error(std::move(error.message));
  usage.value().items = std::move(error.items);
  usage.value().setting = error.setting;
  usage.value().hint = error.hint;
  return usage;
}

// The numerics that an option names; when it is empty those of DIPTYCH_NUMERICS, else fast.
inline constexpr const char* kNumericsHelp =
    "How the engine rounds, docs/engine.md (default: DIPTYCH_NUMERICS, else fast)";
Result<engine::Numerics> numerics_from(const std::string& option);

// The option --threads; the value must outlive the parser.
void add_threads_option(Parser& parser, int& threads);
// The options --threads and --numerics; the values must outlive the parser.
void add_engine_options(Parser& parser, int& threads, std::string& numerics);

// What card::open_tokenizer() takes, for the help of options.
inline constexpr const char* kTokenizerHelp =
    "A tokenizer's file (SentencePiece, tiktoken-style, tokenizer.json), a model's directory, a\n"
    "GGUF, or a .pte that carries one";

inline constexpr const char* kAdapterHelp =
    "With an adapter that the file holds: NAME of export --adapter NAME=DIR";

// Opens a model and tells its notes as warnings.
Result<answer::OpenedModel> open_model(const std::string& path, const answer::OpenOptions& options);

}  // namespace diptych::cli
