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
#include "generate/speculation.h"
#include "generate/token_filter.h"

namespace diptych::generate {

struct GenerateOptions {
  int64_t max_tokens = 100;
  SamplerOptions sampler;
  std::set<int64_t> stop_tokens;              // generation ends after one of these
  std::optional<LookaheadOptions> lookahead;  // only with a plain() sampler and without logprobs
  // Guesses tokens that the model then verifies: the tokens, or with a temperature their
  // distribution, stay the model's. Not with lookahead. Must outlive the generation.
  Drafter* drafter = nullptr;
  // Lookahead and drafts where they are expected to save time, by what they took and gave so far.
  // Where lookahead is not, what followed the same tokens earlier in the text is tried. False:
  // always, and drafts as long as they can be.
  bool adapt = true;
  // What tokens may come next; null: all. Not with lookahead. Must outlive the generation.
  TokenFilter* filter = nullptr;
  std::optional<int64_t> logprobs;  // give log probabilities, and of so many best tokens
  std::function<bool()> cancelled;  // asked between the calls that evaluate a prompt
};

enum class StopReason : uint8_t {
  StopToken,
  StopText,
  Complete,  // the filter lets nothing follow
  MaxTokens,
  ContextFull,
  Cancelled,
};
std::string_view name(StopReason reason);

struct Generation {
  std::vector<int64_t> tokens;          // the generated ones, a stop token included
  std::vector<TokenLogprobs> logprobs;  // of each token, with options.logprobs
  StopReason reason = StopReason::MaxTokens;
  double prefill_seconds = 0;  // prompt to first token
  double decode_seconds = 0;   // first token to last
  uint64_t decode_steps = 0;   // model calls after the prompt
  SpeculationCounts speculation;
  std::vector<PlannedCall> prompt_calls;  // Session::calls() of the prompt
};

// What OnToken is called with.
struct Token {
  int64_t id = 0;
  const TokenLogprobs* logprobs = nullptr;  // with options.logprobs; valid during the call
};

// Evaluates `prompt` after the tokens that the session holds, then generates. `on_token` is called
// with each token as soon as it is chosen. Generation stops with StopReason::Cancelled when
// `on_token` returns false, or when options.cancelled returns true during the prompt. On success
// the session holds the prompt, as far as it was evaluated, and all generated tokens but the last;
// after lookahead it may hold tokens beyond the last. With a sampler that draws, a seed gives other
// tokens with a drafter that draws than without it; with others it gives the same. Errors:
// InvalidArgument for options that do not fit one another or the model; those of
// Session::evaluate(), Lookahead and Sampler.
using OnToken = std::function<bool(const Token& token)>;
Result<Generation> generate(Session& session, std::span<const int64_t> prompt,
                            const GenerateOptions& options, const OnToken& on_token);

// The same with a sampler that continues from earlier generations; options.sampler is ignored.
Result<Generation> generate(Session& session, std::span<const int64_t> prompt,
                            const GenerateOptions& options, Sampler& sampler,
                            const OnToken& on_token);

}  // namespace diptych::generate
