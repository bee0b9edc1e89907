// A model's chat template: messages in, the text of a prompt out.
#pragma once

#include "base/json.h"
#include "jinja/template.h"

namespace diptych::jinja {

struct Chat {
  Json messages =
      Json::array();  // objects with "role" and "content", and what a template knows more
  Json tools;         // an array of function descriptions; null: none
  bool add_generation_prompt = false;  // end with the beginning of the assistant's answer
  std::string bos, eos;                // how the tokens are written; "" when there is none
  Json extra = Json::object();         // further variables (enable_thinking …); they win
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> parse(std::string_view source);

  // The prompt. Its special tokens are text: encode it with Specials::AsTokens and without BOS,
  // which the template has written where it belongs. Variables are those of Hugging Face's
  // apply_chat_template.
  Result<std::string> render(const Chat& chat, const Limits& limits = {},
                             const std::tm* now = nullptr) const;

 private:
  explicit ChatTemplate(Template parsed) : template_(std::move(parsed)) {}
  Template template_;
};

}  // namespace diptych::jinja
