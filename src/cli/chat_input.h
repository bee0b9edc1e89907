// What the user of `chat` types: messages of one or more lines, and commands.
//
// A line is a message. Where it ends in a backslash the next line belongs to it. A message that
// begins with """ goes on, over any number of lines, to a line that ends with """. A line that
// begins with a slash is a command, where commands are taken; between """ nothing is.
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

inline constexpr size_t kMostMessageBytes = size_t{64} << 20;

class ChatInput {
 public:
  // Standard input: with prompts, line editing and commands where it is a terminal. Otherwise plain
  // lines, of which none is a command unless `commands` says so: they may come from anyone.
  static Result<std::unique_ptr<ChatInput>> create(bool commands);
  ChatInput(const ChatInput&) = delete;
  ChatInput& operator=(const ChatInput&) = delete;

  bool interactive() const { return editor_ != nullptr; }

  // The next message or command. Fails when the input ends within """, and on a message of more
  // than kMostMessageBytes.
  Result<Input> next();

 private:
  ChatInput() = default;
  // Nothing after Ctrl-C and at the end of the input.
  using Line = Result<std::optional<std::string>>;
  Line line(const std::string& prompt);
  Line plain_line();
  Line quoted(std::string text);
  Result<std::string> continued(std::string text);

  std::unique_ptr<LineEditor> editor_;
  bool commands_ = false;
};

}  // namespace diptych::cli
