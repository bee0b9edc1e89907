#include "generate/generator.h"

#include <algorithm>

#include "base/clock.h"
#include "generate/prompt_lookup.h"

namespace diptych::generate {

namespace {

// Lookahead where it is worth its time.
class Ahead {
 public:
  // With a pace, which must outlive it, it adapts to what that knows.
  Ahead(Lookahead lookahead, Pace* pace) : lookahead_(std::move(lookahead)), pace_(pace) {}

  bool worth_it(const Session& session) {
    if (!session.rows_fit(lookahead_.positions_needed())) return false;
    if (pace_ == nullptr) return true;
    const bool worth = pace_->worth(tokens_, session.verifying_seconds(lookahead_.rows()));
    // What is not tried is forgotten.
    if (!worth) tokens_ += kForget * (kFirstTokens - tokens_);
    return worth;
  }
  Result<std::vector<int64_t>> step(Session& session, int64_t token) {
    const auto start = Clock::now();
    auto found = TRY(lookahead_.step(session, token));
    if (pace_ != nullptr) {
      pace_->add_step(seconds_since(start), static_cast<int64_t>(found.size()));
    }
    tokens_ += kNewStep * (static_cast<double>(found.size()) - tokens_);
    return found;
  }

 private:
  static constexpr double kFirstTokens = 2, kNewStep = 0.1, kForget = 0.01;

  Lookahead lookahead_;
  Pace* pace_;
  double tokens_ = kFirstTokens;  // of a step
};

}  // namespace

std::string_view name(StopReason reason) {
  switch (reason) {
    case StopReason::StopToken:
      return "stop token";
    case StopReason::StopText:
      return "stop text";
    case StopReason::Complete:
      return "complete";
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
  if (options.lookahead && (!sampler.plain() || options.logprobs || options.filter != nullptr)) {
    return hinted(invalid_argument("lookahead decodes greedily"), Advice::GreedyDecoding);
  }
  if (options.lookahead && options.drafter != nullptr) {
    return invalid_argument("lookahead makes its own drafts, found another drafter");
  }
  std::optional<Lookahead> lookahead;
  if (options.lookahead) {
    lookahead = TRY(
        Lookahead::create(*options.lookahead, session.model(), prompt.empty() ? 0 : prompt.back()));
  }
  PromptLookup lookup;
  Drafter* const drafter = lookahead && options.adapt ? &lookup : options.drafter;
  std::optional<Speculation> speculation;
  if (drafter != nullptr) {
    speculation = TRY(Speculation::create(*drafter, session.model(), options.adapt));
  }
  std::optional<Ahead> ahead;
  if (lookahead) {
    ahead.emplace(std::move(*lookahead), speculation ? &speculation->pace() : nullptr);
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
    } else if (options.filter != nullptr && options.filter->complete()) {
      generation.reason = StopReason::Complete;
    } else if (static_cast<int64_t>(generation.tokens.size()) >= options.max_tokens) {
      generation.reason = StopReason::MaxTokens;
    } else {
      return true;
    }
    return false;
  };
  std::vector<float> kept;  // logits of tokens that the filter allows
  const auto choose = [&](std::span<const float> logits, const int64_t* draft,
                          const Distribution* from) -> Result<Speculation::Chosen> {
    std::span<const float> choices = logits;
    if (options.filter != nullptr) choices = filtered(logits, TRY(options.filter->allowed()), kept);
    Sampler::Verdict verdict;
    if (draft != nullptr) {
      verdict = TRY(sampler.verify(choices, session.tokens(), *draft, *from));
    } else {
      verdict.token = TRY(sampler.sample(choices, session.tokens()));
    }
    if (options.filter != nullptr) options.filter->accept(verdict.token);
    if (options.logprobs) {
      generation.logprobs.push_back(logprobs(logits, verdict.token, *options.logprobs));
    }
    return Speculation::Chosen{verdict.accepted, take(verdict.token)};
  };

  const auto start = Clock::now();
  const auto prompt_logits = session.evaluate(prompt, options.cancelled);
  if (!prompt_logits && prompt_logits.error().code == ErrorCode::Cancelled) {
    generation.reason = StopReason::Cancelled;
    return generation;
  }
  bool more = TRY(choose(TRY(prompt_logits), nullptr, nullptr)).more;
  generation.prompt_calls.assign(session.calls().begin(), session.calls().end());
  if (speculation && more) TRY(speculation->begin(session.tokens()));
  generation.prefill_seconds = seconds_since(start);
  const auto decode_start = Clock::now();
  while (more) {
    if (session.remaining() == 0) {
      generation.reason = StopReason::ContextFull;
      break;
    }
    const int64_t token = generation.tokens.back();
    ++generation.decode_steps;
    if (ahead && ahead->worth_it(session)) {
      for (const int64_t next : TRY(ahead->step(session, token))) {
        more = take(next);
        if (!more) break;
      }
      if (speculation) speculation->follow(session);
    } else if (speculation) {
      more = TRY(speculation->step(session, token, choose));
    } else {
      more = TRY(choose(TRY(session.evaluate(std::span(&token, 1))), nullptr, nullptr)).more;
    }
  }
  generation.decode_seconds = seconds_since(decode_start);
  if (speculation) generation.speculation = speculation->counts();
  return generation;
}

}  // namespace diptych::generate
