#include "cli/chat_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "cli/terminal.h"
#include "text/utf8.h"

namespace diptych::cli {

namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr const char* kPrompt = "> ";
constexpr const char* kContinuationPrompt = ". ";

Status check_size(std::string_view text) {
  if (text.size() <= kMostMessageBytes) return {};
  return invalid_argument("a message of more than {} MiB", kMostMessageBytes >> 20);
}

}  // namespace

Result<std::unique_ptr<ChatInput>> ChatInput::create(bool commands) {
  std::unique_ptr<ChatInput> input(new ChatInput);
  if (isatty(STDIN_FILENO) != 0) input->editor_ = TRY(LineEditor::create());
  input->commands_ = commands || input->interactive();
  return input;
}

ChatInput::Line ChatInput::plain_line() {
  std::string text;
  for (;;) {
    errno = 0;
    const int c = getc_unlocked(stdin);
    if (c == '\n') break;
    if (c == EOF) {
      if (errno == EINTR && !interrupted()) {
        clearerr(stdin);
        continue;
      }
      if (text.empty() || interrupted()) return std::nullopt;
      break;
    }
    text += static_cast<char>(c);
    TRY(check_size(text));
  }
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

ChatInput::Line ChatInput::line(const std::string& prompt) {
  auto text = editor_ ? editor_->read(prompt) : TRY(plain_line());
  if (!text) return text;
  TRY(check_size(*text));
  if (editor_ && !text->empty()) editor_->remember(*text);
  return text::replace_invalid_utf8(*text);
}

// A message whose first line, after the quotes, is `text`; nothing after Ctrl-C.
ChatInput::Line ChatInput::quoted(std::string text) {
  while (!text.ends_with(kQuotes)) {
    const auto more = TRY(line(kContinuationPrompt));
    if (!more && interrupted()) return std::nullopt;
    if (!more) return invalid_argument("the input ends within \"\"\"");
    text += "\n" + *more;
    TRY(check_size(text));
  }
  text.resize(text.size() - kQuotes.size());
  // Quotes on lines of their own do not make lines of the message.
  if (text.ends_with('\n')) text.pop_back();
  if (text.starts_with('\n')) text.erase(0, 1);
  return text;
}

// A message whose first line is `text`.
Result<std::string> ChatInput::continued(std::string text) {
  while (text.ends_with('\\')) {
    text.back() = '\n';
    const auto more = TRY(line(kContinuationPrompt));
    if (!more) break;
    text += *more;
    TRY(check_size(text));
  }
  return text;
}

Result<Input> ChatInput::next() {
  for (;;) {
    const auto first = TRY(line(kPrompt));
    if (!first && interrupted()) return Input{Input::Kind::Interrupt, {}};
    if (!first) return Input{Input::Kind::End, {}};
    Input input{Input::Kind::Message, *first};
    if (first->starts_with(kQuotes)) {
      auto text = TRY(quoted(first->substr(kQuotes.size())));
      if (!text) return Input{Input::Kind::Interrupt, {}};
      input.text = std::move(*text);
    } else if (commands_ && first->starts_with('/')) {
      input = {Input::Kind::Command, first->substr(1)};
    } else {
      input.text = TRY(continued(*first));
      if (interrupted()) return Input{Input::Kind::Interrupt, {}};
    }
    if (!input.text.empty() || input.kind == Input::Kind::Command) return input;
  }
}

}  // namespace diptych::cli
