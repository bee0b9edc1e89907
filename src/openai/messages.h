// The messages and tools of a chat request, as the transcript that chat templates take.
#pragma once

#include <string>

#include "answer/transcript.h"
#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych::openai {

// Contents are texts or lists of parts {"type": "text", "text"}. Errors name the member that is at
// fault: "messages[2].content[0].type". `param` is the list's name.
Result<answer::Transcript> read_messages(const Json& messages, std::string_view param);

// The text of a content; the texts of parts are joined.
Result<std::string> read_content(const Json& content, const std::string& param);

// Checks a list of {"type": "function", "function": {"name", "description", "parameters",
// "strict"}}.
Status check_tools(const Json& tools);

}  // namespace diptych::openai
