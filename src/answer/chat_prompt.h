// A conversation as the prompt that a model's chat template makes of it.
#pragma once

#include <ctime>
#include <string>

#include "answer/transcript.h"
#include "base/error.h"
#include "text/tokenizer.h"

namespace diptych::jinja {
class ChatTemplate;
}

namespace diptych::answer {

struct PromptOptions {
  std::string tools = {};        // a JSON list of function descriptions; empty: none
  const std::tm* now = nullptr;  // the time that a template may write; null: the clock's
};

// The prompt for the assistant's next message. Its special tokens are text: it is encoded without
// BOS and with Specials::AsTokens. Fails when the template does not take the conversation.
Result<std::string> chat_prompt(const jinja::ChatTemplate& chat_template,
                                const text::Tokenizer& tokenizer, const Transcript& transcript,
                                const PromptOptions& options = {});

}  // namespace diptych::answer
