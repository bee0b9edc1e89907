// A job on its way through a slot: which of its tokens are evaluated, what was chosen so far.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "answer/text_stream.h"
#include "base/clock.h"
#include "generate/sampler.h"
#include "generate/session.h"
#include "serve/job.h"
#include "serve/reply.h"

namespace diptych::serve {

class Work {
 public:
  // `tokenizer` may be null (the answer has no text then) and must outlive the work.
  // It gives the reply's answer `answer`.
  Work(Job job, std::shared_ptr<Reply> reply, size_t answer, const text::Tokenizer* tokenizer);

  const Job& job() const { return job_; }
  const Reply& reply() const { return *reply_; }

  // The work has got a slot, whose session holds the first `reused` tokens of the prompt.
  void begin(int64_t reused);
  bool prompt_done() const { return evaluated_ == std::ssize(job_.prompt); }
  int64_t prompt_left() const { return std::ssize(job_.prompt) - evaluated_; }
  int64_t answer_tokens() const { return outcome_.answer_tokens; }

  // Evaluates the next tokens of the prompt, so many at most; after the last one the answer's first
  // token is chosen. Returns false when the work is done with it.
  Result<bool> evaluate_prompt(generate::Session& session, int64_t tokens);
  // The token that was chosen last, which is not evaluated yet.
  int64_t token() const { return token_; }
  // Chooses the token after what the session has evaluated. Returns false when it was the last.
  Result<bool> choose(std::span<const float> logits, const generate::Session& session);

  // Tells who waits. The work is used up.
  void finish(generate::StopReason reason);
  void fail(Error error);
  // The reason to end that choose() and evaluate_prompt() found.
  generate::StopReason reason() const { return reason_; }

 private:
  // Evaluates tokens of which the next one's log probability is told. Returns the last logits.
  Result<std::vector<float>> evaluate_echoed(generate::Session& session, size_t tokens);
  void echo(size_t index, const generate::TokenLogprobs* logprobs);
  void end();

  Job job_;
  std::shared_ptr<Reply> reply_;
  size_t answer_;
  generate::Sampler sampler_;
  answer::TextStream stream_;
  std::optional<text::StreamDecoder> echoed_;
  int64_t evaluated_ = 0;  // of the prompt
  int64_t token_ = 0;
  generate::StopReason reason_ = generate::StopReason::MaxTokens;
  std::vector<float> kept_;  // logits that the filter allows
  Outcome outcome_;
  Clock::time_point queued_, begun_, answered_;
};

}  // namespace diptych::serve
