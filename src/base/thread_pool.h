// A persistent pool that splits index ranges over threads.
//
// A call gives each thread a contiguous share of the range, worked off in chunks; who is done early
// takes chunks from the others' shares. Threads that wait for the next call spin for some
// microseconds and then sleep; a call does not wait for sleepers to wake, it does their shares.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace diptych {

class ThreadPool {
 public:
  // `threads` counts the calling thread; 0 means default_threads().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(int64_t begin, int64_t end) or body(begin, end, int thread) on disjoint ranges that
  // cover [0, count), a multiple of `grain` indices each (but the last), and returns when all are
  // done.
  // `thread` is in [0, threads()), and no two bodies of a call have the same one at the same time.
  // Allocates nothing. Callable from several threads at once: calls are served one after another,
  // or side by side when they are too small to be divided. Must not be called from inside a body.
  // What a body throws (when memory ends) is thrown to the caller, once no body runs any more.
  template <class Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    run({count, grain,
         [](const void* context, int64_t begin, int64_t end, int thread) {
           Plain& plain = *static_cast<Plain*>(const_cast<void*>(context));
           if constexpr (std::is_invocable_v<Plain&, int64_t, int64_t, int>) {
             plain(begin, end, thread);
           } else {
             plain(begin, end);
           }
         },
         std::addressof(body)});
  }

  // The number of CPUs to compute on: those of the affinity mask, no more than the cgroup's quota
  // allows, and, when they are more than four, one per physical core.
  static int default_threads();

 private:
  struct Call {
    int64_t count, grain;
    void (*body)(const void* context, int64_t begin, int64_t end, int thread);
    const void* context;
  };
  void run(const Call& call);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace diptych
