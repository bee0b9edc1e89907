#include "jinja/chat_template.h"

#include "base/json.h"

namespace diptych::jinja {

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  return ChatTemplate(TRY(within("chat template", Template::parse(source))));
}

Result<std::string> ChatTemplate::render(const Chat& chat, const Limits& limits,
                                         const std::tm* now) const {
  Json variables = {{"messages", chat.messages},
                    {"tools", chat.tools},
                    {"documents", nullptr},
                    {"add_generation_prompt", chat.add_generation_prompt}};
  if (!chat.bos.empty()) variables["bos_token"] = chat.bos;
  if (!chat.eos.empty()) variables["eos_token"] = chat.eos;
  for (const auto& [name, value] : chat.extra.items()) variables[name] = value;
  return within("chat template", template_.render(variables, limits, now));
}

}  // namespace diptych::jinja
