#include "serve/work.h"

#include <algorithm>
#include <utility>

namespace diptych::serve {

using generate::StopReason;

Work::Work(Job job, std::shared_ptr<Reply> reply, size_t answer, const text::Tokenizer* tokenizer)
    : job_(std::move(job)),
      reply_(std::move(reply)),
      answer_(answer),
      sampler_(job_.sampler),
      stream_(tokenizer, std::move(job_.stops),
              [this](const answer::Piece& piece) {
                Part part{answer_, piece.token, std::string(piece.text), {}, false};
                if (piece.logprobs != nullptr) part.logprobs = *piece.logprobs;
                reply_->add(std::move(part));
                return !reply_->cancelled();
              }),
      queued_(Clock::now()) {
  if (tokenizer != nullptr && job_.echo) echoed_.emplace(*tokenizer);
  outcome_.prompt_tokens = std::ssize(job_.prompt);
}

void Work::begin(int64_t reused) {
  begun_ = Clock::now();
  outcome_.wait_seconds = to_seconds(begun_ - queued_);
  outcome_.reused_tokens = evaluated_ = reused;
  stream_.begin_after(job_.prompt);
  if (!job_.echo) return;
  // With log probabilities each token is echoed when the logits before it are known.
  echo(0, nullptr);
  if (job_.logprobs) return;
  for (size_t i = 1; i < job_.prompt.size(); ++i) echo(i, nullptr);
}

void Work::echo(size_t index, const generate::TokenLogprobs* logprobs) {
  Part part{answer_, job_.prompt[index], {}, {}, true};
  if (echoed_) part.text = echoed_->add(static_cast<text::TokenId>(job_.prompt[index]));
  if (logprobs != nullptr) part.logprobs = *logprobs;
  reply_->add(std::move(part));
}

Result<bool> Work::evaluate_prompt(generate::Session& session, int64_t tokens) {
  const auto count = static_cast<size_t>(std::min(tokens, prompt_left()));
  const auto next = std::span(job_.prompt).subspan(static_cast<size_t>(evaluated_), count);
  std::vector<float> echoed;
  std::span<const float> logits;
  if (job_.echo && job_.logprobs) {
    echoed = TRY(evaluate_echoed(session, count));
    logits = echoed;
  } else {
    logits = TRY(session.evaluate(next, [this] { return reply_->cancelled(); }));
  }
  evaluated_ += static_cast<int64_t>(count);
  if (!prompt_done()) return true;
  outcome_.prompt_seconds = seconds_since(begun_);
  answered_ = Clock::now();
  if (job_.max_tokens <= 0) return false;
  return choose(logits, session);
}

Result<std::vector<float>> Work::evaluate_echoed(generate::Session& session, size_t tokens) {
  const auto first = static_cast<size_t>(evaluated_);
  std::vector<float> last;
  TRY(session.evaluate_each(std::span(job_.prompt).subspan(first, tokens),
                            [&](size_t index, std::span<const float> logits) -> Status {
                              const size_t next = first + index + 1;
                              if (next < job_.prompt.size()) {
                                const auto found =
                                    generate::logprobs(logits, job_.prompt[next], *job_.logprobs);
                                echo(next, &found);
                              } else {
                                last.assign(logits.begin(), logits.end());
                              }
                              if (reply_->cancelled())
                                return diptych::fail(ErrorCode::Cancelled, "the client left");
                              return {};
                            }));
  return last;
}

Result<bool> Work::choose(std::span<const float> logits, const generate::Session& session) {
  std::span<const float> choices = logits;
  if (job_.filter) choices = generate::filtered(logits, TRY(job_.filter->allowed()), kept_);
  token_ = TRY(sampler_.sample(choices, session.tokens()));
  if (job_.filter) job_.filter->accept(token_);
  ++outcome_.answer_tokens;
  std::optional<generate::TokenLogprobs> logprobs;
  if (job_.logprobs) logprobs = generate::logprobs(logits, token_, *job_.logprobs);
  // The same order of reasons as generate::generate()'s.
  if (!stream_.add({token_, logprobs ? &*logprobs : nullptr})) {
    reason_ = stream_.stopped() ? StopReason::StopText : StopReason::Cancelled;
  } else if (job_.stop_tokens.contains(token_)) {
    reason_ = StopReason::StopToken;
  } else if (job_.filter && job_.filter->complete()) {
    reason_ = StopReason::Complete;
  } else if (outcome_.answer_tokens >= job_.max_tokens) {
    reason_ = StopReason::MaxTokens;
  } else {
    return true;
  }
  return false;
}

void Work::finish(StopReason reason) {
  if (reason != StopReason::Cancelled) stream_.finish();
  outcome_.reason = stream_.stopped() ? StopReason::StopText : reason;
  end();
}

void Work::fail(Error error) {
  outcome_.error = std::move(error);
  end();
}

void Work::end() {
  if (answered_ != Clock::time_point()) outcome_.answer_seconds = seconds_since(answered_);
  reply_->finish(answer_, std::move(outcome_));
}

}  // namespace diptych::serve
