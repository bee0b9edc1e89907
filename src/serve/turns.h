// Whose turn it is to compute, where several models share the processors: first come, first served.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace diptych::serve {

class Turns {
 public:
  class Held {
   public:
    explicit Held(Turns& turns) : turns_(turns) { turns_.take(); }
    ~Held() { turns_.give_back(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    Turns& turns_;
  };

 private:
  void take() {
    std::unique_lock lock(mutex_);
    const uint64_t ticket = next_++;
    changed_.wait(lock, [&] { return ticket == serving_; });
  }
  void give_back() {
    const std::lock_guard lock(mutex_);
    ++serving_;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t next_ = 0, serving_ = 0;
};

}  // namespace diptych::serve
