// The chat template that lies beside a checkpoint, where transformers looks for it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych::card {

struct ChatTemplateFile {
  std::string source;  // a path, for messages
  std::string text;    // empty: there is none
};

// The first of: chat_template.jinja, additional_chat_templates/default.jinja, `chat_template` of
// tokenizer_config.json, that of chat_template.json. Of several with names, that is the one named
// "default", or the only one. One that cannot be used is left out, which a note then says; a file
// that is not there whole (base/stand_in.h) is an error.
Result<ChatTemplateFile> chat_template_beside(const std::string& directory,
                                              std::vector<std::string>& notes);

// Why the text is no chat template: not UTF-8 or not Jinja as src/jinja knows it. The error names
// line and column.
Status check_chat_template(std::string_view text);

// A JSON object beside the checkpoint; null when there is no such file, or when it is none, which a
// note then says. As above, a file that is not there whole is an error.
Result<Json> object_beside(const std::string& directory, std::string_view name,
                           std::vector<std::string>& notes);

}  // namespace diptych::card
