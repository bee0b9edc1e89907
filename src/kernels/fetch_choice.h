// Whether loops that stream weights for one row of x fetch them ahead. Some processors need it;
// others' own prefetchers do better alone (a thread of AMD's Zen 4: 26 instead of 21 GB/s). So some
// of the first calls do it in turns, and what was faster is done from then on. Results are the same
// either way.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace diptych::kernels {

// Any number of threads may use one.
class FetchChoice {
 public:
  static constexpr uint32_t kSamples = 64;  // of each way
  // Calls from one pair of samples to the next. The first calls read what was never touched before;
  // so many pairs reach to the second token of a model of 1B.
  static constexpr uint32_t kStride = 64;
  static constexpr int64_t kLeastBytes = int64_t{32} << 10;  // of a call that is worth a sample

  // Runs call(fetch ahead?), which reads so many bytes of weights.
  template <class Call>
  void run(int64_t bytes, const Call& call) {
    if (known_.load(std::memory_order_relaxed) || bytes < kLeastBytes) return call(ahead());
    const uint32_t at = calls_.fetch_add(1, std::memory_order_relaxed);
    const uint32_t number = at / kStride * 2 + at % kStride;
    if (at % kStride >= 2 || number >= 2 * kSamples) return call(ahead());
    const bool fetch = number % 2 == 0;
    const Clock::time_point begin = Clock::now();
    call(fetch);
    const std::chrono::duration<float, std::nano> time = Clock::now() - begin;
    add(number, time.count() / static_cast<float>(bytes));
  }

  // What is known by now.
  bool ahead() const { return ahead_.load(std::memory_order_relaxed); }

  // Sample `number`, in nanoseconds a byte; even ones fetched ahead. run() calls it.
  void add(uint32_t number, float cost);

 private:
  std::atomic<bool> known_{false}, ahead_{true};
  std::atomic<uint32_t> calls_{0}, taken_{0};
  std::array<std::array<std::atomic<float>, kSamples>, 2> costs_{};  // [without, with]
};

// The process's.
FetchChoice& fetch_choice();

}  // namespace diptych::kernels
