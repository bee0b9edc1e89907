#include "answer/chat_prompt.h"

#include "base/json.h"
#include "jinja/chat_template.h"

namespace diptych::answer {

Result<std::string> chat_prompt(const jinja::ChatTemplate& chat_template,
                                const text::Tokenizer& tokenizer, const Transcript& transcript,
                                const PromptOptions& options) {
  jinja::Chat chat;
  chat.messages = template_messages(transcript);
  if (!options.tools.empty()) {
    chat.tools = TRY(within("tools", parse_json(options.tools)));
    if (!chat.tools.is_array()) return invalid_argument("tools: expected a list");
  }
  chat.add_generation_prompt = true;
  chat.bos = tokenizer.special_name(tokenizer.bos());
  chat.eos = tokenizer.special_name(tokenizer.eos());
  return chat_template.render(chat, {}, options.now);
}

}  // namespace diptych::answer
