#include "measure/limits.h"

#include <algorithm>
#include <atomic>

#include "base/clock.h"
#include "base/proc.h"
#include "kernels/dot_loop.h"
#include "measure/machine.h"
#include "measure/peak_loop.h"

namespace diptych::measure {

namespace {

constexpr uint64_t kLeastBuffer = uint64_t{512} << 20;
constexpr uint64_t kCaches = 4;               // the buffer holds the last-level cache so often
constexpr int64_t kChunk = int64_t{1} << 17;  // words that a thread reads at a time: 1 MiB
constexpr double kLoopSeconds = 0.02;
constexpr int64_t kLoopRounds = 1 << 12;  // of one piece of work: some microseconds

// What the loops compute goes here, so that compilers cannot leave them out.
std::atomic<uint64_t> sink;

// Independent sums, so that no addition waits for the one before.
uint64_t sum(const uint64_t* words, int64_t count) {
  constexpr int64_t kSums = 32;
  uint64_t sums[kSums] = {};
  for (int64_t i = 0; i + kSums <= count; i += kSums) {
    for (int64_t k = 0; k < kSums; ++k) sums[k] += words[i + k];
  }
  uint64_t all = 0;
  for (const uint64_t part : sums) all += part;
  return all;
}

}  // namespace

Result<std::unique_ptr<MemoryReader>> MemoryReader::create(ThreadPool& pool) {
  constexpr uint64_t kAlign = kChunk * sizeof(uint64_t);
  uint64_t size = std::max(kLeastBuffer, kCaches * last_level_cache_bytes());
  if (const uint64_t available = available_memory_bytes(); available > 0) {
    size = std::min(size, available / 4);
  }
  size = std::max(size / kAlign, uint64_t{1}) * kAlign;
  std::unique_ptr<MemoryReader> reader(new MemoryReader(TRY(ZeroedMemory::allocate(size))));
  uint64_t* words = reader->words();
  // Untouched pages would all be the one page of zeros, which lies in the cache.
  pool.parallel_for(static_cast<int64_t>(size / sizeof(uint64_t)), kChunk,
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) words[i] = static_cast<uint64_t>(i);
                    });
  return reader;
}

double MemoryReader::measure(ThreadPool& pool) const {
  const uint64_t* words = this->words();
  const auto start = Clock::now();
  pool.parallel_for(static_cast<int64_t>(size() / sizeof(uint64_t)), kChunk,
                    [&](int64_t begin, int64_t end) { sink += sum(words + begin, end - begin); });
  return static_cast<double>(size()) / seconds_since(start);
}

namespace {

// Operations per second of a loop that does `multiply_adds` in each of its rounds.
template <class Loop>
double measure_loop(ThreadPool& pool, double multiply_adds, const Loop& loop) {
  // How much is enough for the time is found out by doing more of it.
  for (int64_t pieces = 256;; pieces *= 2) {
    const auto start = Clock::now();
    pool.parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
      sink += static_cast<uint64_t>(loop((end - begin) * kLoopRounds));
    });
    const double seconds = seconds_since(start);
    const double operations = 2 * static_cast<double>(pieces * kLoopRounds) * multiply_adds;
    if (seconds >= kLoopSeconds) return operations / seconds;
  }
}

}  // namespace

double measure_fma(ThreadPool& pool) {
  return measure_loop(pool, static_cast<double>(multiply_adds_per_round()), multiply_add_loop);
}

double measure_dot(ThreadPool& pool, kernels::Isa isa, kernels::Arithmetic arithmetic) {
  const kernels::DotLoop loop = kernels::dot_loop(isa, arithmetic);
  if (loop.run == nullptr) return 0;
  return measure_loop(pool, static_cast<double>(loop.multiply_adds_per_round), loop.run);
}

Peaks measure_peaks(ThreadPool& pool, kernels::Isa isa) {
  Peaks peaks;
  for (const kernels::Arithmetic arithmetic : kernels::kArithmetics) {
    peaks[arithmetic] = measure_dot(pool, isa, arithmetic);
  }
  peaks.fp32 = measure_fma(pool);
  return peaks;
}

double peak_of(const generate::MultiplyAdds& work, const Peaks& peaks) {
  const uint64_t total = kernels::sum(work);
  if (total == 0) return peaks.fp32;
  double time = 0;
  for (const kernels::Arithmetic arithmetic : kernels::kArithmetics) {
    const double peak = peaks[arithmetic];
    time += static_cast<double>(work[arithmetic]) / (peak > 0 ? peak : peaks.fp32);
  }
  return static_cast<double>(total) / time;
}

}  // namespace diptych::measure
