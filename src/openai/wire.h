// Parts of responses that several endpoints share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "serve/reply.h"
#include "text/tokenizer.h"

namespace diptych::openai {

// A new identifier with this beginning.
std::string new_id(std::string_view prefix);

// "data: <json>\n\n"
std::string event(const Json& json);
inline constexpr std::string_view kLastEvent = "data: [DONE]\n\n";

// A token as a text: its piece, a special one's name, or for bytes that are no text
// "bytes:\xe2\x82".
std::string token_text(const text::Tokenizer& tokenizer, int64_t id);

// The element of a chat completion's logprobs.content for a token.
Json chat_logprob(const text::Tokenizer& tokenizer, int64_t token,
                  const generate::TokenLogprobs& logprobs);

// "stop" or "length".
std::string_view finish_reason(const serve::Outcome& outcome);

// {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"}: of each of
// `prompts` prompts its tokens count once.
Json usage_json(const std::vector<serve::Outcome>& outcomes, size_t prompts = 1);

}  // namespace diptych::openai
