// POST /v1/chat/completions: a conversation to be answered through the model's chat template.
#pragma once

#include "base/error.h"
#include "base/json_fwd.h"
#include "openai/exchange.h"
#include "serve/served_model.h"

namespace diptych::openai {

Result<Exchange> read_chat(const Json& request, const serve::ServedModel& model);

// The prompt that a conversation becomes: what /apply-template shows. Reads "messages" and "tools";
// other members are passed over.
Result<std::string> read_prompt_of_chat(const Json& request, const serve::ServedModel& model);

}  // namespace diptych::openai
