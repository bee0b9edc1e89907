// The steps of our plan as events of ExecuTorch's tracer: ETDump and the Inspector show them with
// names and times.
#pragma once

#include <executorch/runtime/core/event_tracer.h>

#include "engine/run_observer.h"

namespace diptych::plugin {

// An event is named by its operation and result, "linear 'logits_0'", as fused operations are
// ("cpu.rms_norm 'x'"). Delegates have no debug map: names are all there is.
class StepEvents final : public engine::RunObserver {
 public:
  explicit StepEvents(executorch::runtime::EventTracer& tracer);
  void on_step(const engine::Executable& executable, size_t index, Time begin, Time end) override;

 private:
  et_timestamp_t ticks(Time time) const;

  executorch::runtime::EventTracer& tracer_;
  // The same moment by both clocks.
  Time clock_now_;
  et_timestamp_t ticks_now_;
};

}  // namespace diptych::plugin
