// What a call of a function costs: predicted from what its steps read and multiply, corrected by
// what calls took in this session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "generate/method_cost.h"

namespace diptych::generate {

// Seconds of a call that evaluates some rows, which grow with them by a line.
struct CallCost {
  double call = 0, row = 0;                // without logits
  double logits_call = 0, logits_row = 0;  // what logits take besides

  double seconds(int64_t rows, bool with_logits) const {
    const auto n = static_cast<double>(rows);
    return call + row * n + (with_logits ? logits_call + logits_row * n : 0);
  }
  CallCost scaled(double of_call, double of_rows) const {
    return {call * of_call, row * of_rows, logits_call * of_call, logits_row * of_rows};
  }
};

// From the work of a call with and without logits: right in proportion, roughly so in seconds.
// `tokens` are the function's rows, whose masks and rotations are made and which are passed on from
// step to step, however few of them count.
CallCost predict(const MethodCost& without_logits, const MethodCost& with_logits, int64_t tokens,
                 int threads);

// A prediction with what was measured. Times scatter: a few calls that were disturbed must not
// decide, and what was learnt long ago fades.
class MeasuredCost {
 public:
  explicit MeasuredCost(const CallCost& predicted) : predicted_(predicted) {}

  // `scale`: how the calls of all functions compare with their predictions.
  CallCost cost(double scale) const;
  void add(int64_t rows, bool with_logits, double seconds, double scale);
  void fade();  // a call of another function was measured

  // Sums, for the scale.
  double predicted_seconds() const { return predicted_seconds_; }
  double measured_seconds() const { return measured_seconds_; }

 private:
  void fade_by(double factor);

  CallCost predicted_;
  bool called_ = false;  // the first call reads the file and touches memory; it does not count
  // Sums of the least squares for two factors, of what comes with a call and with a row, each
  // measurement relative to its time.
  double call_call_ = 0, call_row_ = 0, row_row_ = 0, call_time_ = 0, row_time_ = 0;
  double predicted_seconds_ = 0, measured_seconds_ = 0;
};

// Those of a file's functions, which are measured together: what one is slower than predicted,
// others are too until they are measured themselves.
class CallCosts {
 public:
  void add_function(const CallCost& predicted) { functions_.emplace_back(predicted); }
  void add(size_t function, int64_t rows, bool with_logits, double seconds);
  CallCost cost(size_t function) const { return functions_[function].cost(scale()); }

 private:
  double scale() const;
  std::vector<MeasuredCost> functions_;
};

}  // namespace diptych::generate
