// POST /v1/chat/completions: a conversation to be answered through the model's chat template.
#pragma once

#include "answer/transcript.h"
#include "base/error.h"
#include "base/json_fwd.h"
#include "openai/exchange.h"
#include "serve/served_model.h"

namespace diptych::openai {

Result<Exchange> read_chat(const Json& request, const serve::ServedModel& model);

// The tokens of the prompt that a conversation becomes, with the descriptions of tools or null.
// They fit the context. `param` is what errors are about.
Result<std::vector<int64_t>> encode_chat(const answer::Transcript& transcript, const Json& tools,
                                         const serve::ServedModel& model, std::string_view param);

// The prompt that a conversation becomes: what /apply-template shows. Reads "messages" and "tools";
// other members are passed over.
Result<std::string> read_prompt_of_chat(const Json& request, const serve::ServedModel& model);

}  // namespace diptych::openai
