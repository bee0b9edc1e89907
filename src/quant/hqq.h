// Scales by half-quadratic splitting, which makes little of the few large errors.
//
// Source of the method: Badri and Shaji, "Half-Quadratic Quantization of Large Machine Learning
// Models" (2023). Theirs optimises the zero points of an affine grid; our formats have none, so the
// scale takes their place. Kept are the aim, few errors in the sense of |w - q|^p with p < 1, its
// splitting into an error e with a quadratic coupling of growing strength beta, the proximal step
//   e = sign(x) max(0, |x| - |x|^(p-1) / beta),  x = w - q,
// the closed-form step, which for a scale is s = sum c (w - e) / sum c^2, c being the codes, and
// the end: when the mean of |w - q| falls no more.
// p is 3/4 where the source has 0.7: square roots, of which it is made, are the same everywhere.
#pragma once

#include <span>

#include "tensor/type.h"

namespace diptych::quant {

// A scale for `weights` (finite) whose nearest codes leave a sum of |error| that is at most that of
// round-to-nearest. `stored` is the type that scales are rounded to.
float hqq_scale(std::span<const float> weights, int bits, DType stored);

}  // namespace diptych::quant
