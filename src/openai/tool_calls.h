// Calls of functions in what a model writes, as its chat template taught it to write them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "answer/transcript.h"
#include "base/error.h"
#include "base/json_fwd.h"
#include "grammar/automaton.h"

namespace diptych::openai {

enum class CallForm : uint8_t {
  None,  // no functions were offered: all is text
  Tags,  // <tool_call>{"name": …, "arguments": {…}}</tool_call> within the text (Hermes, Qwen)
  Json,  // the whole answer is {"name": …, "parameters": {…}} (Llama 3)
};

// The form that a chat template speaks of.
CallForm call_form_of(std::string_view chat_template);

// A grammar whose texts are a call, in this form, of one of the tools (check_tools() has passed
// them), or of the one that is named. Arguments keep to the function's schema. Where that cannot be
// a grammar any object will do, but of a function that is "strict" it is an error.
Result<std::shared_ptr<const grammar::Automaton>> grammar_of_calls(const Json& tools,
                                                                   std::string_view named,
                                                                   CallForm form);

// Divides an answer, piece by piece, into the text that is shown and the calls. What looks like a
// call but is none in the end stays text.
class CallScanner {
 public:
  explicit CallScanner(CallForm form) : form_(form) {}

  // The text that can be shown now that `piece` has come.
  std::string add(std::string_view piece);
  // The text that was held back in vain.
  std::string finish();
  // The calls that have become complete since the last time. Their arguments are JSON objects.
  std::vector<answer::ToolCall> take_calls();

  size_t calls() const { return count_; }  // so far

 private:
  std::string scan_tags();
  bool take_call(std::string_view json);

  CallForm form_;
  std::string held_;     // not decided yet
  bool inside_ = false;  // of a tag
  std::vector<answer::ToolCall> calls_;
  size_t count_ = 0;
};

}  // namespace diptych::openai
