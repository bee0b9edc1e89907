// What GPTQ knows of a linear's inputs: their second moments, and the factor of their inverse along
// which the error of one weight is made up for by others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"

namespace diptych::quant {

inline constexpr const char kInfiniteInputs[] =
    "the calibration gives inputs that are infinite or NaN";

// H = sum of x xᵀ over the inputs x [width] of a linear. Holds width^2 floats.
class Hessian {
 public:
  explicit Hessian(size_t width);

  size_t width() const { return width_; }
  uint64_t samples() const { return samples_; }
  // Adds the rows of inputs [count, width].
  void add(std::span<const float> inputs, ThreadPool& pool);
  // Element (i, j).
  float at(size_t i, size_t j) const { return i <= j ? upper_[i * width_ + j] : at(j, i); }

 private:
  size_t width_;
  uint64_t samples_ = 0;
  std::vector<float> upper_;  // the part below the diagonal is not kept up
};

// Inputs reordered by falling H[i, i], so that the weights which matter most are rounded first,
// while the most others can still make up for it; then U, upper triangular, with
//   (H + damping)^-1 = Uᵀ U.
struct GptqFactor {
  std::vector<size_t> order;      // [width]: position -> input
  std::vector<float> importance;  // [width], by input: H[i, i] + damping
  std::vector<float> upper;       // [width, width] U, zeros below the diagonal
  size_t width() const { return order.size(); }
};

// Damping is a hundredth of the mean of the diagonal, which GPTQ's authors recommend. Not finite
// inputs are an error. Holds two matrices for the time being.
Result<GptqFactor> factorize(const Hessian& hessian, ThreadPool& pool);

}  // namespace diptych::quant
