// The values that a group of weights can have once quantised (scale * code), in fp32: what the
// algorithms that choose scales share, and the error that is left. Round-to-nearest chooses
// without it (quant/rtn.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tensor/type.h"

namespace diptych::quant {

// What is left of `weights` at some scale, every one being given its nearest code.
struct Fit {
  double error = 0;         // sum of i (w - scale * code)^2, i being the weight's importance
  double code_weights = 0;  // sum of i * code * w
  double code_squares = 0;  // sum of i * code^2

  // The scale that is best for these codes; 0 when all of them are.
  double best_scale() const { return code_squares > 0 ? code_weights / code_squares : 0; }
};

// `importance` has an element per weight, or none at all: all the same. bits is 4 or 8, scale > 0.
Fit fit(std::span<const float> weights, std::span<const float> importance, float scale, int bits);

// The nearest codes: clamp(round_half_even(w / scale)).
void nearest_codes(std::span<const float> weights, float scale, int bits, int8_t* codes);

// How far quantised weights are from what they stand for.
struct QuantizationError {
  double squares = 0;         // sum of (w - scale * code)^2
  double source_squares = 0;  // sum of w^2
  double largest = 0;         // of |w - scale * (code - offset)|, where codes are kept; else 0

  QuantizationError& operator+=(const QuantizationError& other);
  // The root of the ratio; 0 for nothing at all.
  double relative() const;
};
QuantizationError deviation(std::span<const float> weights, const int8_t* codes, float scale);

// `scale` as it will be stored in `dtype` (F16 or F32): rounded, and at least its smallest normal
// number.
float stored_scale(double scale, DType dtype);

bool all_finite(std::span<const float> weights);

// The scale that round-to-nearest takes: that of the largest magnitude.
float largest_scale(std::span<const float> weights, int bits, DType dtype);

}  // namespace diptych::quant
