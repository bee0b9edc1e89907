// How a caller learns where the time of a run goes.
#pragma once

#include <cstddef>

#include "base/clock.h"

namespace diptych::engine {

class Executable;

// Told of every step of the runs that it is given to (Execution::run).
class RunObserver {
 public:
  using Time = Clock::time_point;

  virtual ~RunObserver() = default;
  // Step `index` of Executable::steps(), or, after all of those, the writing of the outputs. Called
  // by the thread that runs, between steps: what it does delays the run.
  virtual void on_step(const Executable& executable, size_t index, Time begin, Time end) = 0;
};

}  // namespace diptych::engine
