// What a compiled function is: a list of steps over numbered places of memory. Produced by lowering
// (lowering.h), run by an Execution (executable.h).
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "engine/cells.h"
#include "engine/executable.h"
#include "engine/step_work.h"

namespace diptych::engine {

// A number for where elements are during a run: an index into Plan::places.
enum class Place : uint32_t {};

// What a step sees while it runs.
struct Frame {
  std::vector<std::byte*>& addresses;  // by Place
  ThreadPool& pool;
  std::byte* thread_scratch;  // of all the pool's threads, one after another
  uint64_t thread_scratch_size;
  std::atomic<uint64_t>& overflows;  // finite values that were rounded to infinity so far
  int64_t live_tokens;               // Execution::limit_tokens

  std::byte* bytes(Place place) const { return addresses[static_cast<size_t>(place)]; }
  float* floats(Place place) const { return reinterpret_cast<float*>(bytes(place)); }
  int32_t* ints(Place place) const { return reinterpret_cast<int32_t*>(bytes(place)); }
  // The number of a step's rows that must be computed.
  int64_t live(const StepRows& rows) const { return rows.live(live_tokens); }
  // Fills the rows that were not computed, of `width` cells each, with copies of row 0, which is at
  // cell `at`.
  void repeat_first(Place place, const StepRows& rows, int64_t width, int64_t at = 0) const {
    constexpr int64_t kGrain = 1 << 14;  // cells worth a thread of their own
    float* const first = floats(place) + at;
    const int64_t live = this->live(rows);
    pool.parallel_for(rows.count - live, kGrain / std::max<int64_t>(width, 1) + 1,
                      [&](int64_t begin, int64_t end) {
                        for (int64_t row = live + begin; row < live + end; ++row) {
                          std::copy_n(first, width, first + row * width);
                        }
                      });
  }
  // The memory of a thread that steps requested (Lowering::thread_scratch), aligned to 64.
  std::byte* scratch(int thread) const {
    return thread_scratch + static_cast<uint64_t>(thread) * thread_scratch_size;
  }
};

struct JointFrame;  // joint_frame.h

// One step's work. One thread at a time calls it with a Frame; several may with different ones.
using Run = std::function<Status(const Frame&)>;
// The same for several executions at once, to the bit; empty where each runs on its own.
using RunTogether = std::function<Status(const JointFrame&)>;
struct Runs {
  Run alone;
  RunTogether together;

  Runs() = default;
  template <class Alone>
  requires std::is_invocable_r_v<Status, const Alone&, const Frame&> Runs(
      Alone one, RunTogether several = {})  // NOLINT: most steps have nothing to share
      : alone(std::move(one)), together(std::move(several)) {}
};

// What a step does and on what: an operation and its result, or "input" and the input that the step
// brings into cells.
struct StepLabel {
  std::string op, value;
};
std::string to_string(const StepLabel& label);  // "mul 'aten_mul_tensor'"

struct Step {
  StepLabel label;          // for errors, overflows and profiles
  std::string near_weight;  // Overflows::near_weight
  Runs run;
  StepWork work{};
};

// Where a place's address comes from.
struct PlaceInfo {
  enum class Kind : uint8_t {
    Arena,     // cells in the execution's own memory
    Constant,  // fixed: cells made at compile time, or packed bytes of a weight
    Input,     // packed elements in the caller's memory
    // Cells of an input: the caller's own memory where its elements are aligned cells, else a
    // buffer of the arena.
    InputCells,
  };
  Kind kind = Kind::Arena;
  uint64_t size = 0;                    // bytes, of Arena and InputCells
  uint64_t offset = 0;                  // in the arena, of Arena and InputCells
  const std::byte* constant = nullptr;  // of Constant
};

struct Plan {
  std::string function;
  std::vector<Port> inputs, outputs;
  std::vector<std::vector<Place>> input_places;  // by input: those of kind Input and InputCells
  std::vector<Place> output_places;              // cells; never InputCells
  std::vector<PlaceInfo> places;
  std::vector<Step> steps;
  uint64_t arena_size = 0;
  int64_t tokens = 0;                // along the token axes; 0: there are none
  uint64_t unpacked_bytes = 0;       // of weights that are computed with in another form
  uint64_t thread_scratch_size = 0;  // bytes that each thread needs, a multiple of 64
  std::vector<std::shared_ptr<const void>> owners;  // of what constant places point into
};

// Calls body(begin, end, thread) -> Status over [0, count) in parallel. Of several errors, returns
// the one of the lowest index.
template <class Body>
Status parallel_status(ThreadPool& pool, int64_t count, int64_t grain, const Body& body) {
  std::mutex mutex;
  int64_t failed_at = count;
  Status first;
  pool.parallel_for(count, grain, [&](int64_t begin, int64_t end, int thread) {
    Status status = body(begin, end, thread);
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
