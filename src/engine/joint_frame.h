// What a step sees when several executions of one plan run it together (Execution::run_together).
// Steps that read weights compute the rows of all executions at once, so that weights are read
// once; other steps have nothing to share and run for each execution on its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/thread_pool.h"
#include "engine/joint_memory.h"
#include "engine/plan.h"

namespace diptych::engine {

struct JointFrame {
  std::span<const Frame> frames;  // of the executions, each with a pool of the calling thread alone
  ThreadPool& pool;
  JointMemory& memory;

  // The rows of all executions that must be computed, which stand one after another.
  int64_t rows(const StepRows& all) const {
    int64_t count = 0;
    for (const Frame& frame : frames) count += frame.live(all);
    return count;
  }
  // Calls visit(joint row, frame, row of the frame) for joint rows [begin, end).
  template <class Visit>
  void for_rows(const StepRows& all, int64_t begin, int64_t end, const Visit& visit) const {
    int64_t first = 0;
    for (const Frame& frame : frames) {
      const int64_t live = frame.live(all);
      for (int64_t row = std::max(begin, first); row < std::min(end, first + live); ++row) {
        visit(row, frame, row - first);
      }
      first += live;
    }
  }
};

}  // namespace diptych::engine
