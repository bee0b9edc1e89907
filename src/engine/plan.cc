#include "engine/plan.h"

#include <mutex>

namespace diptych::engine {

Status parallel_status(ThreadPool& pool, int64_t count, int64_t grain,
                       const std::function<Status(int64_t begin, int64_t end)>& body) {
  std::mutex mutex;
  int64_t failed_at = count;
  Status first;
  pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    Status status = body(begin, end);
    if (status) return;
    std::lock_guard lock(mutex);
    if (begin < failed_at) {
      failed_at = begin;
      first = std::move(status);
    }
  });
  return first;
}

}  // namespace diptych::engine
