// Threads with enough stack, however small the one of whoever asks for them.
#pragma once

#include <functional>
#include <memory>

#include "base/error.h"

namespace diptych {

// A thread with a stack of 16 MiB, of which only what is used is ever real: `ulimit -s`, which
// other threads follow, may be far less than what a recursion over a file or the sums of a kernel
// take.
class OwnStackThread {
 public:
  // Fails when the system gives no thread. `body` must not throw.
  static Result<OwnStackThread> start(std::function<void()> body);
  ~OwnStackThread();  // joins
  OwnStackThread(OwnStackThread&&) noexcept;
  OwnStackThread& operator=(OwnStackThread&&) = delete;

 private:
  struct State;
  explicit OwnStackThread(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Runs `work` to its end on such a thread; what it throws comes through.
Status on_own_stack(const std::function<void()>& work);

}  // namespace diptych
