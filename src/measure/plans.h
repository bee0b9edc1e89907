// What prompts take in the calls that the planner chooses, beside those of each function alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "base/progress.h"
#include "engine/numerics.h"
#include "generate/planner.h"

namespace diptych::measure {

struct PlanOptions {
  std::string model;             // path
  std::vector<int64_t> lengths;  // of prompts; those beyond the context are left out
  int threads = 0;               // 0: ThreadPool::default_threads()
  int64_t repetitions = 5;
  engine::Numerics numerics = engine::Numerics::Precise;
  std::string adapter = {};
};

// The least of some measurements, which were disturbed the least.
struct LeastTime {
  double seconds = 0;
  double cpu_seconds = 0;  // of all threads
  int64_t measurements = 0;

  void add(double took, double cpu);
};

// Calls as text: "prefill 64 x 2, verify 6".
using CallsText = std::string;

// One length. Equal calls are one measurement, whoever chose them.
struct PlanRow {
  int64_t tokens = 0;
  CallsText planned;                       // what the planner chose last
  std::map<std::string, CallsText> alone;  // by function
  std::map<CallsText, LeastTime> times;    // of all that were measured

  const LeastTime& planned_time() const { return times.at(planned); }
  // The function that alone took the least of a kind of time; empty where there is none.
  std::string best_alone(double LeastTime::*time) const;
  // The planned calls' time by that function's; 1 where there is none.
  double ratio(double LeastTime::*time) const;
};

struct PlanReport {
  std::vector<PlanRow> rows;  // in the order of the lengths
  int threads = 0;
  bool interrupted = false;  // then rows hold what was measured before
};

// Planned calls and each function alone in turns, after what lets the planner know the functions.
// Functions of single tokens are left out of prompts that another function takes in more than one
// call: they are far behind.
Result<PlanReport> measure_plans(const PlanOptions& options, Progress& progress);

// An object with a list of the rows.
Json to_json(const PlanReport& report);

}  // namespace diptych::measure
