// Walks several tensors of one shape together, each with strides of its own (0 where it is
// broadcast), in runs along the innermost axis, so that kernels compute no index per element.
#pragma once

#include <array>
#include <cstdint>

#include "mil/op_table.h"
#include "tensor/type.h"

namespace diptych::engine {

// Elements between neighbours along each axis of a dense row-major tensor.
inline Shape row_major_strides(const Shape& shape) {
  Shape strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

// The strides of a dense tensor seen in a shape that it is broadcast to.
inline Shape broadcast_strides(const Shape& from, const Shape& to) {
  const Shape dense = row_major_strides(from);
  Shape strides(to.size(), 0);
  const size_t missing = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != 1) strides[missing + i] = dense[i];
  }
  return strides;
}

// The most axes of a walk: those of two tensors, since some operations split each axis in two.
inline constexpr int64_t kMaxLoopRank = 2 * mil::kMaxRank;

// The walk over N operands. Axes that lie one behind another in all operands are merged, so dense
// operands give one long run. Offsets and steps are in elements.
template <size_t N>
class StridedLoop {
 public:
  using Offsets = std::array<int64_t, N>;

  // All dimensions are positive, their number at most kMaxLoopRank.
  StridedLoop(const Shape& dims, const std::array<Shape, N>& strides) {
    for (size_t axis = dims.size(); axis-- > 0;) {  // innermost first
      if (dims[axis] == 1) continue;
      Offsets here;
      for (size_t n = 0; n < N; ++n) here[n] = strides[n][axis];
      if (rank_ > 0 && continues(here)) {
        dims_[rank_ - 1] *= dims[axis];
      } else {
        dims_[rank_] = dims[axis];
        strides_[rank_++] = here;
      }
    }
    for (size_t i = 1; i < rank_; ++i) runs_ *= dims_[i];
  }

  int64_t runs() const { return runs_; }
  int64_t run_length() const { return rank_ == 0 ? 1 : dims_[0]; }
  const Offsets& steps() const { return strides_[0]; }  // along a run

  // Calls body(run, offsets of its first element) for runs [first, last).
  template <class Body>
  void walk(int64_t first, int64_t last, Body body) const {
    std::array<int64_t, kMaxLoopRank> index{};
    Offsets at{};
    int64_t rest = first;
    for (size_t i = 1; i < rank_; ++i) {
      index[i] = rest % dims_[i];
      rest /= dims_[i];
      for (size_t n = 0; n < N; ++n) at[n] += index[i] * strides_[i][n];
    }
    for (int64_t run = first; run < last; ++run) {
      body(run, at);
      for (size_t i = 1; i < rank_; ++i) {
        for (size_t n = 0; n < N; ++n) at[n] += strides_[i][n];
        if (++index[i] < dims_[i]) break;
        for (size_t n = 0; n < N; ++n) at[n] -= dims_[i] * strides_[i][n];
        index[i] = 0;
      }
    }
  }

 private:
  bool continues(const Offsets& outer) const {
    for (size_t n = 0; n < N; ++n) {
      if (outer[n] != strides_[rank_ - 1][n] * dims_[rank_ - 1]) return false;
    }
    return true;
  }

  size_t rank_ = 0;  // axis 0 is the innermost
  std::array<int64_t, kMaxLoopRank> dims_{};
  std::array<Offsets, kMaxLoopRank> strides_{};
  int64_t runs_ = 1;
};

}  // namespace diptych::engine
