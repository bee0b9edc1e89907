#include "executorch/events.h"

#include <executorch/runtime/platform/platform.h>
#include <fmt/format.h>

#include <string>

#include "engine/executable.h"

namespace diptych::plugin {

StepEvents::StepEvents(executorch::runtime::EventTracer& tracer)
    : tracer_(tracer),
      clock_now_(Clock::now()),
      ticks_now_(executorch::runtime::pal_current_ticks()) {}

et_timestamp_t StepEvents::ticks(Time time) const {
  const auto ratio = executorch::runtime::pal_ticks_to_ns_multiplier();
  const auto nanoseconds =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time - clock_now_).count();
  const int64_t passed = nanoseconds * static_cast<int64_t>(ratio.denominator) /
                         static_cast<int64_t>(ratio.numerator == 0 ? 1 : ratio.numerator);
  return ticks_now_ + static_cast<et_timestamp_t>(passed);
}

void StepEvents::on_step(const engine::Executable& executable, size_t index, Time begin, Time end) {
  std::string name = "outputs";
  if (index < executable.step_count()) {
    const engine::StepInfo step = executable.step(index);
    name = fmt::format("{} '{}'", step.op, step.name);
  }
  tracer_.log_profiling_delegate(name.c_str(), executorch::runtime::kUnsetDelegateDebugIntId,
                                 ticks(begin), ticks(end));
}

}  // namespace diptych::plugin
