// One line from a terminal, with editing and history (libedit).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"

namespace diptych::cli {

class LineEditor {
 public:
  // For a terminal on standard input; prompts and what is typed are shown on standard error.
  static Result<std::unique_ptr<LineEditor>> create();
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // The next line without its end; nothing when there is none: at the end of the input or, when
  // interrupted() says so, after Ctrl-C.
  std::optional<std::string> read(const std::string& prompt);

  // Lets the user come back to `line`.
  void remember(const std::string& line);

 private:
  LineEditor() = default;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace diptych::cli
