// Random numbers. Number i of a run is a hash of the seed, the run and i, so that it depends
// neither on threads nor on what is computed before. With a seed every run gives the same numbers;
// without one (-1) no two runs do.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <numbers>
#include <random>

#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kRandomGrain = 1 << 12;  // elements worth a thread of their own

uint64_t mixed(uint64_t x) {  // SplitMix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// A seed for a run that was given none.
uint64_t fresh_seed() {
  static const uint64_t process = (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  static std::atomic<uint64_t> runs{0};
  return process + runs++;
}

// The numbers of one run: uniform in [0, 1), 53 bits of each.
class Numbers {
 public:
  explicit Numbers(int64_t seed)
      : key_(mixed(seed == -1 ? fresh_seed() : static_cast<uint64_t>(seed))) {}
  double at(int64_t i) const {
    return static_cast<double>(mixed(key_ ^ static_cast<uint64_t>(i)) >> 11) * 0x1p-53;
  }

 private:
  uint64_t key_;
};

// Emits the step that sets element i of the result to f(numbers, i).
template <class F>
Status emit_random(const mil::Op& op, Lowering& lowering, F f) {
  const int64_t seed = TRY(mil::int_param(op, "seed", -1));
  const auto count = static_cast<int64_t>(TRY(element_count(op.result()->type.shape)));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const Numbers numbers(seed);
    frame.pool.parallel_for(count, kRandomGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        frame.floats(result)[i] = static_cast<float>(f(numbers, i));
      }
    });
    return {};
  });
  return {};
}

}  // namespace

Status lower_random_bernoulli(const mil::Op& op, Lowering& lowering) {
  const double prob = TRY(mil::float_param(op, "prob", 0.5));
  return emit_random(op, lowering, [prob](const Numbers& numbers, int64_t i) {
    return numbers.at(i) < prob ? 1.0 : 0.0;
  });
}

Status lower_random_normal(const mil::Op& op, Lowering& lowering) {
  const double mean = TRY(mil::float_param(op, "mean", 0));
  const double deviation = TRY(mil::float_param(op, "stddev", 1));
  return emit_random(op, lowering, [=](const Numbers& numbers, int64_t i) {
    const double radius = std::sqrt(-2 * std::log1p(-numbers.at(2 * i)));
    return mean + deviation * radius * std::cos(2 * std::numbers::pi * numbers.at(2 * i + 1));
  });
}

Status lower_random_uniform(const mil::Op& op, Lowering& lowering) {
  const double low = TRY(mil::float_param(op, "low", 0)),
               high = TRY(mil::float_param(op, "high", 1));
  return emit_random(op, lowering, [=](const Numbers& numbers, int64_t i) {
    return low + (high - low) * numbers.at(i);
  });
}

// Classes drawn by the probabilities of each row of x, or by the exponentials of its logits.
Status lower_random_categorical(const mil::Op& op, Lowering& lowering) {
  const int64_t seed = TRY(mil::int_param(op, "seed", -1));
  const bool logits = TRY(mil::string_param(op, "mode", "logits")) == "logits";
  const Shape& shape = op.operand("x")->type.shape;
  const int64_t classes = shape.back(), draws = op.result()->type.shape.back();
  const int64_t rows = static_cast<int64_t>(TRY(element_count(shape))) / classes;
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const Numbers numbers(seed);
    frame.pool.parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
      std::vector<double> up_to(static_cast<size_t>(classes));  // sums of weights
      for (int64_t row = begin; row < end; ++row) {
        const float* weights = frame.floats(x) + row * classes;
        const float largest = *std::max_element(weights, weights + classes);
        double total = 0;
        for (int64_t c = 0; c < classes; ++c) {
          total += logits ? std::exp(static_cast<double>(weights[c]) - largest) : weights[c];
          up_to[static_cast<size_t>(c)] = total;
        }
        for (int64_t i = 0; i < draws; ++i) {
          const double at = numbers.at(row * draws + i) * total;
          const auto found = std::upper_bound(up_to.begin(), up_to.end() - 1, at);
          frame.floats(result)[row * draws + i] = static_cast<float>(found - up_to.begin());
        }
      }
    });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
