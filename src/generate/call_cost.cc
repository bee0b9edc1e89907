#include "generate/call_cost.h"

#include <algorithm>
#include <utility>

namespace diptych::generate {

namespace {

// Of a processor of some years; all that matters is how they compare.
constexpr double kBytesPerSecond = 12e9;
constexpr double kMultiplyAddsPerSecond = 60e9;  // of integers, on one thread
// What is there without any weights.
constexpr double kCall = 20e-6, kRow = 1e-6;
// Of what a row's multiply-adds take, what a row costs that does not count.
constexpr double kUnusedRow = 0.03;

// What earlier measurements count beside a new one, of the same function and of another.
constexpr double kFade = 0.9, kFadeByOthers = 0.98;
// The prediction counts as so many measurements of each part.
constexpr double kTrustInPrediction = 0.5;
// A measurement further than this from what is expected counts as if it were this far.
constexpr double kMostDisturbed = 3;
constexpr double kLeastFactor = 0.02;
constexpr double kShortest = 1e-9;  // a clock may stand still

// Multiply-adds, each as many as take the time of one of integers.
double in_integers(const MultiplyAdds& work) {
  const MultiplyAdds weighted{work.int4, work.int8, 2 * work.bf16, 4 * work.fp32};
  return static_cast<double>(kernels::sum(weighted));
}

}  // namespace

CallCost predict(const MethodCost& without_logits, const MethodCost& with_logits, int64_t tokens,
                 int threads) {
  const double rate = kMultiplyAddsPerSecond * std::max(threads, 1);
  const auto of = [&](const MethodCost& work) {
    CallCost cost;
    cost.row = kRow + in_integers(work.per_token) / rate;
    cost.call = kCall + static_cast<double>(work.weight_bytes) / kBytesPerSecond +
                in_integers(work.per_call) / rate +
                kUnusedRow * cost.row * static_cast<double>(tokens);
    return cost;
  };
  CallCost cost = of(without_logits);
  const CallCost with = of(with_logits);
  cost.logits_call = std::max(with.call - cost.call, 0.0);
  cost.logits_row = std::max(with.row - cost.row, 0.0);
  return cost;
}

CallCost MeasuredCost::cost(double scale) const {
  // The factors that fit the measurements best, drawn towards the scale.
  const double trust = kTrustInPrediction / scale;
  const double calls = call_call_ + trust / scale, rows = row_row_ + trust / scale;
  const double determinant = calls * rows - call_row_ * call_row_;
  const double x = call_time_ + trust, y = row_time_ + trust;
  const double of_call = (x * rows - y * call_row_) / determinant,
               of_rows = (y * calls - x * call_row_) / determinant;
  const double least = kLeastFactor * scale;
  return predicted_.scaled(std::max(of_call, least), std::max(of_rows, least));
}

void MeasuredCost::add(int64_t rows, bool with_logits, double seconds, double scale) {
  if (!std::exchange(called_, true)) return;
  if (measured_seconds_ > 0) {
    const double expected = cost(scale).seconds(rows, with_logits);
    seconds = std::clamp(seconds, expected / kMostDisturbed, expected * kMostDisturbed);
  }
  seconds = std::max(seconds, kShortest);
  const double all = predicted_.seconds(rows, with_logits);
  const double of_rows = all - predicted_.seconds(0, with_logits);
  const double by_call = (all - of_rows) / seconds, by_rows = of_rows / seconds;
  fade_by(kFade);
  call_call_ += by_call * by_call;
  call_row_ += by_call * by_rows;
  row_row_ += by_rows * by_rows;
  call_time_ += by_call;
  row_time_ += by_rows;
  predicted_seconds_ += all;
  measured_seconds_ += seconds;
}

void MeasuredCost::fade() { fade_by(kFadeByOthers); }

void MeasuredCost::fade_by(double factor) {
  for (double* sum : {&call_call_, &call_row_, &row_row_, &call_time_, &row_time_,
                      &predicted_seconds_, &measured_seconds_}) {
    *sum *= factor;
  }
}

double CallCosts::scale() const {
  double predicted = 0, measured = 0;
  for (const MeasuredCost& function : functions_) {
    predicted += function.predicted_seconds();
    measured += function.measured_seconds();
  }
  return measured > 0 ? measured / predicted : 1;
}

void CallCosts::add(size_t function, int64_t rows, bool with_logits, double seconds) {
  const double scale = this->scale();
  for (size_t i = 0; i < functions_.size(); ++i) {
    if (i == function) {
      functions_[i].add(rows, with_logits, seconds, scale);
    } else {
      functions_[i].fade();
    }
  }
}

}  // namespace diptych::generate
