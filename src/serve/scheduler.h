// Many answers at once from one model. A thread of its own owns the model's sessions, one in each
// slot, and repeats: give free slots to those who wait, evaluate a piece of one prompt, decode a
// token of every answer in one pass over the weights. Pieces are short where answers are being
// decoded, so that nobody's stream stalls.
//
// What an answer is does not depend on who else is served: it is that of a fresh session.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "generate/session.h"
#include "serve/job.h"
#include "serve/reply.h"
#include "serve/turns.h"
#include "text/tokenizer.h"

namespace diptych::serve {

class Work;

struct SchedulerOptions {
  int slots = 1;
  size_t most_waiting = 64;    // jobs that wait for a slot
  bool reuse = true;           // prefixes of prompts that a cache holds are not evaluated again
  double piece_seconds = 0.1;  // of a prompt, while answers are being decoded
  double alone_seconds = 0.4;  // and while none is
};

struct Counters {
  uint64_t jobs = 0, cancelled = 0, failed = 0, refused = 0;  // refused: too many waited
  uint64_t prompt_tokens = 0, reused_tokens = 0, answer_tokens = 0;
  uint64_t steps = 0;  // of decoding, each of all answers
  double prompt_seconds = 0, decoding_seconds = 0;
};

struct SlotState {
  bool busy = false;
  int64_t cached_tokens = 0, prompt_left = 0, answer_tokens = 0;
};

struct State {
  std::vector<SlotState> slots;
  size_t waiting = 0;
  Counters counters;
};

class Scheduler {
 public:
  using NewSession = std::function<Result<std::unique_ptr<generate::Session>>()>;
  // Makes a session for each slot; nothing is computed before start(). The tokenizer may be null
  // and must outlive the scheduler, as must `turns`. Errors: those of `new_session`.
  static Result<std::unique_ptr<Scheduler>> create(NewSession new_session,
                                                   const text::Tokenizer* tokenizer, Turns& turns,
                                                   const SchedulerOptions& options);
  void start();
  // stop()s.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // The reply to a request's jobs, one answer each; null when they are more than may wait now. Jobs
  // begin in the order in which they came.
  std::shared_ptr<Reply> submit(std::vector<Job> jobs);

  State state() const;
  // Jobs of one request; more are never taken.
  size_t most_jobs() const { return options_.most_waiting; }

  // Cancels what is left and stops; jobs are refused from now on.
  void stop();
  // By slot. Before start() and after stop() they are the caller's, to restore and save.
  std::vector<std::unique_ptr<generate::Session>>& sessions() { return sessions_; }

 private:
  struct Slot {
    std::unique_ptr<Work> work;  // null: free
    uint64_t used = 0;           // when it was last given away, as a rising number
  };

  Scheduler(NewSession new_session, const text::Tokenizer* tokenizer, Turns& turns,
            const SchedulerOptions& options);
  void run();
  // Gives free slots to those who wait; waits while there is nothing to do. False: stop.
  bool admit();
  void give_slot(std::unique_ptr<Work> work);
  void evaluate_prompt();
  void decode();
  // Ends what is done with: frees the slot.
  void finish(size_t slot, generate::StopReason reason);
  void fail(size_t slot, const Error& error);
  // A failed computation leaves sessions that must not be used.
  void fail_all(const Error& error);
  int64_t piece_tokens(const generate::Session& session) const;
  void publish();

  const NewSession new_session_;
  const text::Tokenizer* const tokenizer_;
  Turns& turns_;
  const SchedulerOptions options_;

  // The thread's own.
  std::vector<std::unique_ptr<generate::Session>> sessions_;  // by slot
  std::vector<Slot> slots_;
  uint64_t uses_ = 0;
  size_t last_prompt_ = 0;  // the slot of which a piece was evaluated
  double prompt_rate_ = 0;  // tokens a second; 0: not known yet
  Counters counters_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Work>> waiting_;
  State state_;  // as of the last step
  uint64_t refused_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace diptych::serve
