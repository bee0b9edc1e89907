// The way of a request's answers from the thread that computes them to the one that waits for them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "generate/generator.h"
#include "generate/sampler.h"

namespace diptych::serve {

// A token of the answer, or of the prompt where the job says echo, and the text that can be shown
// now that it has come (answer::Piece says which).
struct Part {
  size_t answer = 0;  // which of the request's
  std::optional<int64_t> token;
  std::string text;
  std::optional<generate::TokenLogprobs> logprobs;
  bool of_prompt = false;
};

// How an answer ended and what it took.
struct Outcome {
  generate::StopReason reason = generate::StopReason::MaxTokens;
  std::optional<Error> error;  // in place of a reason
  int64_t prompt_tokens = 0;
  int64_t reused_tokens = 0;  // of the prompt, that some cache held
  int64_t answer_tokens = 0;  // a stop token included
  double wait_seconds = 0;    // until a slot was free
  double prompt_seconds = 0;  // from then to the first token
  double answer_seconds = 0;  // from the first token to the last
};

// One thread adds, another takes. What is added is bounded by the context's length, so that a
// client who reads slowly holds memory, but nobody up.
class Reply {
 public:
  explicit Reply(size_t answers) : unfinished_(answers), outcomes_(answers) {}

  struct News {
    std::vector<Part> parts;  // since the last call
    bool finished = false;    // all answers are, nothing comes any more
  };
  // Waits until there is news, at most so long.
  News wait(Clock::duration at_most);
  // After News::finished, by answer.
  const std::vector<Outcome>& outcomes() const { return outcomes_; }

  // Nobody wants the answers any more; work on them ends within a step.
  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

  void add(Part part);
  void finish(size_t answer, Outcome outcome);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Part> parts_;  // not taken yet
  size_t unfinished_;
  std::vector<Outcome> outcomes_;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace diptych::serve
