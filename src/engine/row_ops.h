// Rows of floats, computed as wholes: norms, rotations, activations. Dispatched at run time to the
// best instruction set of the machine (Highway). A row's bits depend on its own elements and their
// number alone.
#pragma once

#include <cstddef>

namespace diptych::engine {

// out = x / sqrt(mean(x^2) + epsilon) * weight; a null weight is ones. With relative_epsilon, the
// epsilon counts times max|x|^2, and a row of zeros gives NaN, as the operations it stands for do.
struct RmsNorm {
  float epsilon;
  bool relative_epsilon;
};
void rms_norm(const RmsNorm& norm, const float* x, const float* weight, size_t n, float* out);

// Rotates the pairs (x[2i], x[2i + 1]) by the angles whose cosines and sines are cos[i], sin[i].
void rotate_neighbours(const float* x, const float* cos, const float* sin, size_t n, float* out);

// out[i] = x[i] * cos[i] + y[i] * sin[i], where y is x's second half, negated, and then its first.
void rotate_halves(const float* x, const float* cos, const float* sin, size_t n, float* out);

// out = gate / (1 + exp(-gate)) * up.
void swiglu(const float* gate, const float* up, size_t n, float* out);

// out = gate * (1 + tanh(sqrt(2 / pi) * (gate + 0.044715 * gate^3))) / 2 * up.
void geglu(const float* gate, const float* up, size_t n, float* out);

}  // namespace diptych::engine
