// What the user of `chat` types: messages of one or more lines, and commands.
//
// A line is a message. Where it ends in a backslash the next line belongs to it. A message that
// begins with """ goes on, over any number of lines, to a line that ends with """. A line that
// begins with a slash is a command; between """ nothing is.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "cli/line_editor.h"

namespace diptych::cli {

struct Input {
  enum class Kind : uint8_t { Message, Command, Interrupt, End };
  Kind kind = Kind::End;
  std::string text;  // a message, UTF-8 and not empty, or a command without its slash
};

class ChatInput {
 public:
  // Standard input: with prompts and line editing where it is a terminal, plain lines otherwise.
  static Result<std::unique_ptr<ChatInput>> create();
  ~ChatInput();
  ChatInput(const ChatInput&) = delete;
  ChatInput& operator=(const ChatInput&) = delete;

  bool interactive() const { return editor_ != nullptr; }

  // The next message or command. Fails when the input ends within """.
  Result<Input> next();

 private:
  ChatInput() = default;
  std::optional<std::string> line(const std::string& prompt);
  std::optional<std::string> plain_line();
  Result<std::optional<std::string>> quoted(std::string text);
  std::string continued(std::string text);

  std::unique_ptr<LineEditor> editor_;
  char* buffer_ = nullptr;  // getline's
  size_t capacity_ = 0;
};

}  // namespace diptych::cli
