// A persistent pool that splits index ranges over threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace diptych {

class ThreadPool {
 public:
  // `threads` counts the calling thread; 0 means default_threads().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(begin, end) on disjoint ranges that cover [0, count), at least `grain` indices each
  // (but the last), and returns when all are done. Callable from several threads at once: calls
  // are served one after another. Must not be called from inside a body.
  void parallel_for(int64_t count, int64_t grain,
                    const std::function<void(int64_t begin, int64_t end)>& body);

  // The CPUs of this process's affinity mask.
  static int default_threads();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace diptych
