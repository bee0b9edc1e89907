// The subcommands of `diptych`. Each lives in a file of its own, which reads as the pipeline it
// runs; main.cc lists them.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/error.h"

namespace diptych::cli {

// What a subcommand does once its options are parsed. An error is printed as
// "diptych <subcommand>: <error>" and ends the process with status 1, or 2 for wrong usage.
using Action = std::function<Status()>;

// Adds options and help to the subcommand's parser and returns its action. Option names are
// declared with underscores, as upstream's are; users may write dashes instead.
struct Command {
  const char* name;
  const char* summary;
  const char* examples;  // shown below the options in --help
  Action (*setup)(CLI::App& parser);
};

Action setup_export(CLI::App& parser);
Action setup_extract(CLI::App& parser);
Action setup_inspect(CLI::App& parser);
Action setup_run(CLI::App& parser);
Action setup_synth(CLI::App& parser);

// An error of wrong usage found after parsing (options that exclude each other).
tl::unexpected<Error> usage_error(std::string message);
// The same result; its error, if any, is one of wrong usage.
template <class T>
Result<T> as_usage(Result<T> result) {
  if (!result) return usage_error(result.error().to_string());
  return result;
}
bool is_usage_error(const Error& error);

}  // namespace diptych::cli
