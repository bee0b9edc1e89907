#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/cpu_count.h"
#include "base/own_stack.h"

namespace diptych {

namespace {

// How long a thread spins before it sleeps. Between two steps of a program pass some microseconds;
// waking a sleeper takes tens of them.
constexpr std::chrono::microseconds kSpinTime{50};
constexpr int kSpinsPerLook = 32;

// Chunks that a share is worked off in: enough that a delayed thread loses little to the others.
constexpr int64_t kChunksPerShare = 8;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

// Returns when value != unwanted, with the value.
int wait_while(const std::atomic<int>& value, int unwanted) {
  const auto deadline = Clock::now() + kSpinTime;
  do {
    for (int i = 0; i < kSpinsPerLook; ++i) {
      if (const int now = value.load(); now != unwanted) return now;
      relax();
    }
  } while (Clock::now() < deadline);
  int now = value.load();
  while (now == unwanted) {
    value.wait(now);
    now = value.load();
  }
  return now;
}

}  // namespace

struct ThreadPool::Impl {
  static constexpr size_t kCacheLine = 64;
  static constexpr int kNoCall = 0, kStop = -1;

  // A thread's part of the range; others take from it when they have finished theirs.
  struct alignas(kCacheLine) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  explicit Impl(int threads) : shares(static_cast<size_t>(threads)) {
    for (int i = 1; i < threads; ++i) {
      auto worker = OwnStackThread::start([this, i] { work(static_cast<size_t>(i)); });
      if (!worker) break;  // the system gives no more: those there are do all shares
      workers.push_back(std::move(*worker));
    }
  }

  // Works off share `own`, then what is left of the others. The first that throws leaves what it
  // threw for the caller.
  void run_shares(size_t own) noexcept {
    try {
      work_off(own);
    } catch (...) {
      if (!failed.test_and_set()) failure = std::current_exception();
    }
  }

  void work_off(size_t own) {
    for (size_t i = 0; i < shares.size(); ++i) {
      Share& share = shares[(own + i) % shares.size()];
      for (;;) {
        const int64_t begin = share.next.fetch_add(chunk, std::memory_order_relaxed);
        if (begin >= share.end) break;
        call.body(call.context, begin, std::min(share.end, begin + chunk), static_cast<int>(own));
      }
    }
  }

  // A worker may use the call only between entering and leaving, and only when the call is still
  // open after it has entered: either it sees that the call was closed, or the caller sees it
  // inside and waits.
  void work(size_t own) {
    int seen = kNoCall;
    for (;;) {
      const int number = wait_while(open, seen);
      if (number == kStop) return;
      seen = number;
      if (number == kNoCall) continue;
      inside.fetch_add(1);
      if (open.load() == number) run_shares(own);
      if (inside.fetch_sub(1) == 1) inside.notify_one();
    }
  }

  std::mutex one_call_at_a_time;
  Call call{};
  int64_t chunk = 1;
  std::vector<Share> shares;
  std::atomic_flag failed;
  std::exception_ptr failure;  // set by whom failed was
  int last_number = kNoCall;
  alignas(kCacheLine) std::atomic<int> open{kNoCall};  // the present call's number
  alignas(kCacheLine) std::atomic<int> inside{0};      // workers that may use the call
  std::vector<OwnStackThread> workers;
};

ThreadPool::ThreadPool(int threads)
    : impl_(std::make_unique<Impl>(threads > 0 ? threads : default_threads())) {}

ThreadPool::~ThreadPool() {
  impl_->open.store(Impl::kStop);
  impl_->open.notify_all();
  impl_->workers.clear();  // joins them
}

int ThreadPool::threads() const { return static_cast<int>(impl_->shares.size()); }

void ThreadPool::run(const Call& call) {
  if (call.count <= 0) return;
  Impl& pool = *impl_;
  const int64_t grain = std::max<int64_t>(call.grain, 1);
  if (pool.workers.empty() || call.count <= grain) {
    return call.body(call.context, 0, call.count, 0);
  }
  std::lock_guard lock(pool.one_call_at_a_time);
  const int64_t chunks_wanted = threads() * kChunksPerShare;
  pool.call = call;
  pool.chunk = (call.count + chunks_wanted * grain - 1) / (chunks_wanted * grain) * grain;
  // Shares are whole chunks, but for the last.
  const int64_t chunks = (call.count + pool.chunk - 1) / pool.chunk;
  for (int64_t i = 0; i < threads(); ++i) {
    Impl::Share& share = pool.shares[static_cast<size_t>(i)];
    share.next.store(chunks * i / threads() * pool.chunk, std::memory_order_relaxed);
    share.end = std::min(call.count, chunks * (i + 1) / threads() * pool.chunk);
  }
  pool.last_number = pool.last_number % 0x3fffffff + 1;
  pool.open.store(pool.last_number);
  pool.open.notify_all();
  pool.run_shares(0);
  pool.open.store(Impl::kNoCall);
  for (int inside = pool.inside.load(); inside != 0;) inside = wait_while(pool.inside, inside);
  if (pool.failed.test()) {
    pool.failed.clear();
    std::rethrow_exception(std::exchange(pool.failure, nullptr));
  }
}

int ThreadPool::default_threads() { return usable_cpus(); }

}  // namespace diptych
