// Scales that minimise the squared error of a group.
#pragma once

#include <span>

#include "tensor/type.h"

namespace diptych::quant {

// A scale at which the nearest codes of `weights` (finite) leave less squared error, each square
// times its weight's importance (none given: all alike), than at any scale that was tried: that of
// round-to-nearest, a series of smaller ones, which clip the largest weights, and from the best of
// these the least-squares scale of its codes, again and again until it gains no more.
//
// `stored` is the type that scales are stored in; they are rounded to it before they are compared.
float mse_scale(std::span<const float> weights, std::span<const float> importance, int bits,
                DType stored);

}  // namespace diptych::quant
