#include "serve/reply.h"

#include <utility>

namespace diptych::serve {

Reply::News Reply::wait(Clock::duration at_most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [this] { return unfinished_ == 0 || !parts_.empty(); });
  return {std::exchange(parts_, {}), unfinished_ == 0};
}

void Reply::add(Part part) {
  const std::lock_guard lock(mutex_);
  parts_.push_back(std::move(part));
  changed_.notify_one();
}

void Reply::finish(size_t answer, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  outcomes_[answer] = std::move(outcome);
  --unfinished_;
  changed_.notify_one();
}

}  // namespace diptych::serve
