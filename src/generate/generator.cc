#include "generate/generator.h"

#include <algorithm>
#include <chrono>

namespace diptych::generate {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

std::string_view name(StopReason reason) {
  switch (reason) {
    case StopReason::StopToken:
      return "stop token";
    case StopReason::StopText:
      return "stop text";
    case StopReason::MaxTokens:
      return "token limit";
    case StopReason::ContextFull:
      return "context full";
    case StopReason::Cancelled:
      return "cancelled";
  }
  return "";
}

Result<Generation> generate(Session& session, std::span<const int64_t> prompt,
                            const GenerateOptions& options, const OnToken& on_token) {
  TRY(check(options.sampler, session.model().vocab_size));
  Sampler sampler(options.sampler);
  return generate(session, prompt, options, sampler, on_token);
}

Result<Generation> generate(Session& session, std::span<const int64_t> prompt,
                            const GenerateOptions& options, Sampler& sampler,
                            const OnToken& on_token) {
  if (options.lookahead && (!sampler.plain() || options.logprobs)) {
    return hinted(invalid_argument("lookahead decodes greedily"), Advice::GreedyDecoding);
  }
  std::optional<Lookahead> lookahead;
  if (options.lookahead) {
    lookahead = TRY(
        Lookahead::create(*options.lookahead, session.model(), prompt.empty() ? 0 : prompt.back()));
  }

  Generation generation;
  if (options.max_tokens <= 0) return generation;
  generation.tokens.reserve(
      static_cast<size_t>(std::min<int64_t>(options.max_tokens, session.model().max_context)));
  // Takes one token; false when it is the last one, with the reason set.
  const auto take = [&](int64_t token) {
    generation.tokens.push_back(token);
    if (!on_token({token, options.logprobs ? &generation.logprobs.back() : nullptr})) {
      generation.reason = StopReason::Cancelled;
    } else if (options.stop_tokens.contains(token)) {
      generation.reason = StopReason::StopToken;
    } else if (static_cast<int64_t>(generation.tokens.size()) >= options.max_tokens) {
      generation.reason = StopReason::MaxTokens;
    } else {
      return true;
    }
    return false;
  };

  const auto choose = [&](std::span<const float> logits) -> Result<int64_t> {
    const int64_t token = TRY(sampler.sample(logits, session.tokens()));
    if (options.logprobs) {
      generation.logprobs.push_back(logprobs(logits, token, *options.logprobs));
    }
    return token;
  };

  const auto start = Clock::now();
  const auto prompt_logits = session.evaluate(prompt, options.cancelled);
  if (!prompt_logits && prompt_logits.error().code == ErrorCode::Cancelled) {
    generation.reason = StopReason::Cancelled;
    return generation;
  }
  const int64_t first = TRY(choose(TRY(prompt_logits)));
  generation.prefill_seconds = seconds_since(start);
  bool more = take(first);
  const auto decode_start = Clock::now();
  while (more) {
    if (session.remaining() == 0) {
      generation.reason = StopReason::ContextFull;
      break;
    }
    const int64_t token = generation.tokens.back();
    ++generation.decode_steps;
    if (lookahead && session.rows_fit(lookahead->positions_needed())) {
      for (const int64_t next : TRY(lookahead->step(session, token))) {
        more = take(next);
        if (!more) break;
      }
    } else {
      more = take(TRY(choose(TRY(session.evaluate(std::span(&token, 1))))));
    }
  }
  generation.decode_seconds = seconds_since(decode_start);
  return generation;
}

}  // namespace diptych::generate
