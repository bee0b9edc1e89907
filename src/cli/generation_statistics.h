// What `run` and `chat` say of how a prompt was evaluated and what drafts were worth.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "generate/generator.h"

namespace diptych::cli {

// Methods, tokens of each call, number of such calls.
Json calls_json(const generate::Generation& generation, const generate::Session& session);

// Tokens that decoding gave after the first, which belongs to the prompt's evaluation.
double decoded_tokens(const generate::Generation& generation);
double tokens_per_step(const generate::Generation& generation);

// "41 of 60 drafted tokens accepted, 68.3 %, 2.05 tokens a step".
std::string drafts_text(const generate::Generation& generation);
// Adds "drafted_tokens", "accepted_tokens", "acceptance" and "tokens_per_step".
void add_drafts(const generate::Generation& generation, Json& decode);

}  // namespace diptych::cli
