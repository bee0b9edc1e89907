#include "cli/line_editor.h"

#include <histedit.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cwchar>

#include "cli/terminal.h"

namespace diptych::cli {

namespace {

constexpr int kRememberedLines = 1000;

// The next character of standard input for libedit, whose own function goes on waiting after
// Ctrl-C. 1, or 0 at the end of the input, -1 after Ctrl-C.
int read_character(EditLine* /*editor*/, wchar_t* out) {
  std::mbstate_t state = {};
  for (;;) {
    if (interrupted()) return -1;
    char byte = 0;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count == 0) return 0;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    const size_t size = std::mbrtowc(out, &byte, 1, &state);
    if (size == static_cast<size_t>(-1)) state = {};  // no character: passed over
    if (size <= 1) return 1;
  }
}

}  // namespace

struct LineEditor::State {
  ~State() {
    if (editor != nullptr) el_end(editor);
    if (lines != nullptr) history_end(lines);
  }
  static char* prompt_of(EditLine* editor) {
    void* state = nullptr;
    el_get(editor, EL_CLIENTDATA, &state);
    return static_cast<State*>(state)->prompt.data();
  }

  EditLine* editor = nullptr;
  History* lines = nullptr;
  std::string prompt;
};

LineEditor::~LineEditor() = default;

Result<std::unique_ptr<LineEditor>> LineEditor::create() {
  std::setlocale(LC_CTYPE, "");  // libedit counts characters, not bytes
  std::unique_ptr<LineEditor> editor(new LineEditor);
  editor->state_ = std::make_unique<State>();
  State& state = *editor->state_;
  state.editor = el_init("diptych", stdin, stderr, stderr);
  state.lines = history_init();
  if (state.editor == nullptr || state.lines == nullptr) {
    return fail(ErrorCode::Io, "cannot use the terminal for line editing");
  }
  HistEvent event;
  history(state.lines, &event, H_SETSIZE, kRememberedLines);
  history(state.lines, &event, H_SETUNIQUE, 1);
  el_set(state.editor, EL_CLIENTDATA, &state);
  el_set(state.editor, EL_PROMPT, State::prompt_of);
  el_set(state.editor, EL_HIST, history, state.lines);
  el_set(state.editor, EL_EDITOR, "emacs");
  el_set(state.editor, EL_GETCFN, read_character);
  el_source(state.editor, nullptr);  // the user's ~/.editrc
  return editor;
}

std::optional<std::string> LineEditor::read(const std::string& prompt) {
  state_->prompt = prompt;
  el_resize(state_->editor);
  int count = 0;
  const char* line = el_gets(state_->editor, &count);
  if (line == nullptr || count <= 0 || interrupted()) return std::nullopt;
  std::string text(line, static_cast<size_t>(count));
  if (text.back() == '\n') text.pop_back();
  return text;
}

void LineEditor::remember(const std::string& line) {
  HistEvent event;
  history(state_->lines, &event, H_ENTER, line.c_str());
}

}  // namespace diptych::cli
