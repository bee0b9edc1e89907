// Where the time of a test goes: by function, operation and layer of the model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/executable.h"
#include "engine/run_observer.h"

namespace diptych::measure {

// All steps that do the same in one layer of one function.
struct ProfileLine {
  std::string function;  // "forward"
  std::string op;        // "cpu.linear"; "outputs" for their writing
  int layer = -1;        // -1: outside of all layers
  uint64_t calls = 0;
  double seconds = 0;
  // Of constants, and multiply-adds of linears for all rows, in all calls.
  uint64_t weight_bytes = 0, multiply_adds = 0;
};

struct Profile {
  int64_t tokens = 0;
  double seconds = 0;              // from the first call to the end of the last
  std::vector<ProfileLine> lines;  // in the order of their first step

  // In no step: masks, caches, conversions between methods and functions, argmax.
  double seconds_outside() const;
};

// The lines of one function and operation, or of one function and layer, added up; in the order of
// the first of each.
std::vector<ProfileLine> by_op(const Profile& profile);
std::vector<ProfileLine> by_layer(const Profile& profile);

// Takes the times of steps. What it needs for that is allocated when a function runs for the first
// time.
class Profiler : public engine::RunObserver {
 public:
  struct Event {
    const engine::Executable* executable = nullptr;
    size_t step = 0;
    Time begin, end;
  };

  // Keeps so many events at most; later ones count in the profile only.
  explicit Profiler(size_t most_events) { events_.reserve(most_events); }

  void on_step(const engine::Executable& executable, size_t index, Time begin, Time end) override;

  // Forgets all times.
  void clear();
  // What happened since then: the evaluation of so many tokens in so many seconds. The executables
  // must still be there.
  Profile profile(int64_t tokens, double seconds) const;
  const std::vector<Event>& events() const { return events_; }
  uint64_t dropped() const { return dropped_; }

 private:
  struct Total {
    uint64_t calls = 0;
    Time::duration time{};
  };
  // Of one function: totals by step, the last one of the outputs.
  struct Totals {
    const engine::Executable* executable;
    std::vector<Total> steps;
  };
  std::vector<Totals> totals_;  // few: one for each function
  std::vector<Event> events_;
  uint64_t dropped_ = 0;
};

// What a step does; "outputs" for the index after the last.
engine::StepInfo step_info(const engine::Executable& executable, size_t index);

}  // namespace diptych::measure
