#include "cli/chat_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "cli/terminal.h"
#include "text/utf8.h"

namespace diptych::cli {

namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr const char* kPrompt = "> ";
constexpr const char* kContinuationPrompt = ". ";

}  // namespace

Result<std::unique_ptr<ChatInput>> ChatInput::create() {
  std::unique_ptr<ChatInput> input(new ChatInput);
  if (isatty(STDIN_FILENO) != 0) input->editor_ = TRY(LineEditor::create());
  return input;
}

ChatInput::~ChatInput() { std::free(buffer_); }

std::optional<std::string> ChatInput::plain_line() {
  for (;;) {
    errno = 0;
    const ssize_t size = getline(&buffer_, &capacity_, stdin);
    if (size >= 0) {
      std::string text(buffer_, static_cast<size_t>(size));
      if (text.ends_with('\n')) text.pop_back();
      if (text.ends_with('\r')) text.pop_back();
      return text;
    }
    if (errno != EINTR || interrupted()) return std::nullopt;
    clearerr(stdin);
  }
}

// The next line; nothing after Ctrl-C and at the end of the input.
std::optional<std::string> ChatInput::line(const std::string& prompt) {
  auto text = editor_ ? editor_->read(prompt) : plain_line();
  if (!text) return text;
  if (editor_ && !text->empty()) editor_->remember(*text);
  return text::replace_invalid_utf8(*text);
}

// A message whose first line, after the quotes, is `text`; nothing after Ctrl-C.
Result<std::optional<std::string>> ChatInput::quoted(std::string text) {
  while (!text.ends_with(kQuotes)) {
    const auto more = line(kContinuationPrompt);
    if (!more && interrupted()) return std::nullopt;
    if (!more) return invalid_argument("the input ends within \"\"\"");
    text += "\n" + *more;
  }
  text.resize(text.size() - kQuotes.size());
  // Quotes on lines of their own do not make lines of the message.
  if (text.ends_with('\n')) text.pop_back();
  if (text.starts_with('\n')) text.erase(0, 1);
  return text;
}

// A message whose first line is `text`.
std::string ChatInput::continued(std::string text) {
  while (text.ends_with('\\')) {
    text.back() = '\n';
    const auto more = line(kContinuationPrompt);
    if (!more) break;
    text += *more;
  }
  return text;
}

Result<Input> ChatInput::next() {
  for (;;) {
    const auto first = line(kPrompt);
    if (!first && interrupted()) return Input{Input::Kind::Interrupt, {}};
    if (!first) return Input{Input::Kind::End, {}};
    Input input{Input::Kind::Message, *first};
    if (first->starts_with(kQuotes)) {
      auto text = TRY(quoted(first->substr(kQuotes.size())));
      if (!text) return Input{Input::Kind::Interrupt, {}};
      input.text = std::move(*text);
    } else if (first->starts_with('/')) {
      input = {Input::Kind::Command, first->substr(1)};
    } else {
      input.text = continued(*first);
      if (interrupted()) return Input{Input::Kind::Interrupt, {}};
    }
    if (!input.text.empty() || input.kind == Input::Kind::Command) return input;
  }
}

}  // namespace diptych::cli
