// The backend's options and the threads they ask for, one set per process.
//
//   numerics     string  "fast" (default), "precise" or "typed", for delegates loaded from now on;
//                        until it is set, the environment variable DIPTYCH_NUMERICS holds
//   num_threads  int     threads that compute, for all delegates; 0 (default) is one per CPU;
//                        until it is set, the environment variable DIPTYCH_THREADS holds
//
// Options of Apple's Core ML backend that say where to compute are accepted and mean nothing here.
#pragma once

#include <executorch/runtime/backend/options.h>
#include <executorch/runtime/core/span.h>
#include <sys/types.h>

#include <memory>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/numerics.h"

namespace diptych::plugin {

// All functions may be called from any thread.
class Options {
 public:
  // The process's only instance; never destroyed, so that delegates may outlive static objects.
  static Options& instance();

  // Takes over all options or, when one is unknown or has a wrong value, none.
  Status set(executorch::runtime::Span<const executorch::runtime::BackendOption> options);
  // Writes the present values over those in `options`. Unknown names are NotFound.
  Status get(executorch::runtime::Span<executorch::runtime::BackendOption> options) const;

  // The numerics for a delegate that is loaded now; its own load options come first.
  Result<engine::Numerics> numerics(
      executorch::runtime::Span<const executorch::runtime::BackendOption> load_options) const;

  // The pool to compute on; in a forked child one of its own. Keep it for one call only.
  Result<std::shared_ptr<ThreadPool>> threads();

 private:
  Result<engine::Numerics> default_numerics() const;
  Result<int> wanted_threads() const;

  mutable std::mutex mutex_;
  std::optional<engine::Numerics> numerics_;
  std::optional<int> num_threads_;
  std::shared_ptr<ThreadPool> pool_;
  pid_t pool_process_ = 0;
};

}  // namespace diptych::plugin
