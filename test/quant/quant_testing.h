// Weights like trained ones, which the tests of algorithms share.
#pragma once

#include <random>
#include <vector>

#include "base/half.h"
#include "tensor/weight.h"

namespace diptych::quant {

// Bell-shaped, with a few weights far out, as trained ones are.
inline std::vector<float> weights(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> bell(0, 0.02f);
  std::vector<float> row(count);
  for (float& w : row) w = round_to_half(bell(random));
  row[count / 3] *= 4;
  return row;
}

inline WeightRef matrix(int64_t rows, int64_t width, uint32_t seed) {
  const auto values = weights(static_cast<size_t>(rows * width), seed);
  return constant_floats(DType::F16, {rows, width}, {values.begin(), values.end()});
}

}  // namespace diptych::quant
