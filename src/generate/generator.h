// The decode loop: prompt in, tokens out one by one, until something says stop.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "generate/lookahead.h"
#include "generate/sampler.h"
#include "generate/session.h"

namespace diptych::generate {

struct GenerateOptions {
  int64_t max_tokens = 100;
  SamplerOptions sampler;
  std::set<int64_t> stop_tokens;              // generation ends after one of these
  std::optional<LookaheadOptions> lookahead;  // greedy only, with nothing that changes logits
  std::optional<int64_t> logprobs;            // tell them, and those of so many likeliest tokens
  std::function<bool()> cancelled;            // asked between the calls that evaluate a prompt
};

enum class StopReason : uint8_t { StopToken, StopText, MaxTokens, ContextFull, Cancelled };
std::string_view name(StopReason reason);

struct Generation {
  std::vector<int64_t> tokens;          // generated ones, a stop token included
  std::vector<TokenLogprobs> logprobs;  // of each token, when they were asked for
  StopReason reason = StopReason::MaxTokens;
  double prefill_seconds = 0;  // prompt to first token
  double decode_seconds = 0;   // first token to last
  uint64_t decode_steps = 0;   // model calls after the prompt
};

// A token as it is told to who waits for it.
struct Token {
  int64_t id = 0;
  const TokenLogprobs* logprobs = nullptr;  // where they were asked for; valid during the call
};

// Evaluates `prompt` after what the session holds, and generates. `on_token` is called with each
// token as soon as it is known; returning false stops generation, for which the caller may know a
// better reason than Cancelled.
using OnToken = std::function<bool(const Token& token)>;
Result<Generation> generate(Session& session, std::span<const int64_t> prompt,
                            const GenerateOptions& options, const OnToken& on_token);

// The same with a sampler that goes on from earlier generations; options.sampler is not looked at.
Result<Generation> generate(Session& session, std::span<const int64_t> prompt,
                            const GenerateOptions& options, Sampler& sampler,
                            const OnToken& on_token);

}  // namespace diptych::generate
