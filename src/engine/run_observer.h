// How a caller learns where the time of a run goes.
#pragma once

#include <cstddef>

#include "base/clock.h"

namespace diptych::engine {

class Executable;

// Hears of every step of the runs that it is passed to (Execution::run).
class RunObserver {
 public:
  using Time = Clock::time_point;

  virtual ~RunObserver() = default;
  // Called after step `index` (Executable::step), and at the end with step_count() for the writing
  // of the outputs. It is called between steps by the thread that runs, so its own time delays the
  // run but counts for no step.
  virtual void on_step(const Executable& executable, size_t index, Time begin, Time end) = 0;
};

}  // namespace diptych::engine
