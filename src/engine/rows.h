// A tensor seen as rows of the elements that an operation combines, the kept axes outside: for
// reductions, softmax, norms, sums along an axis and sorting.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/lowering.h"
#include "engine/strided.h"

namespace diptych::engine {

struct Rows {
  int64_t count = 1, length = 1;
  StridedLoop<1> loop;  // over the tensor, in the rows' order

  // Whether the rows lie one behind another as they are.
  bool is_dense() const {
    return loop.runs() == 1 && (loop.steps()[0] == 1 || loop.run_length() == 1);
  }
};

// Rows along axes in ascending order: a row has their elements in row-major order.
inline Rows rows_along(const Shape& shape, const std::vector<int64_t>& axes) {
  const Shape dense = row_major_strides(shape);
  Shape dims, strides;
  int64_t count = 1, length = 1;
  for (const bool combined : {false, true}) {
    for (size_t i = 0; i < shape.size(); ++i) {
      if (std::binary_search(axes.begin(), axes.end(), static_cast<int64_t>(i)) != combined)
        continue;
      dims.push_back(shape[i]);
      strides.push_back(dense[i]);
      (combined ? length : count) *= shape[i];
    }
  }
  return {count, length, StridedLoop<1>(dims, {strides})};
}

// Calls copy(element of the tensor, element of the dense rows) for all.
template <class Copy>
void walk_elements(const StridedLoop<1>& loop, Copy copy) {
  const int64_t length = loop.run_length(), step = loop.steps()[0];
  loop.walk(0, loop.runs(), [&](int64_t run, const StridedLoop<1>::Offsets& at) {
    for (int64_t i = 0; i < length; ++i) copy(at[0] + i * step, run * length + i);
  });
}

// The cells of x as dense rows, of float or int32_t. `T* dense(frame)` gives them while the step
// runs: x's own, or a copy that the step makes.
template <class T>
class DenseRows {
 public:
  static Result<DenseRows> open(const mil::Value& x, Rows rows, Lowering& lowering) {
    const Place from = TRY(lowering.cells(x));
    const auto size = static_cast<uint64_t>(rows.count * rows.length);
    const Place to = rows.is_dense() ? from : TRY(lowering.scratch(size));
    return DenseRows(std::move(rows), from, to);
  }
  const T* dense(const Frame& frame) const {
    if (!rows_.is_dense()) {
      const T* from = reinterpret_cast<const T*>(frame.bytes(from_));
      T* to = reinterpret_cast<T*>(frame.bytes(to_));
      walk_elements(rows_.loop, [&](int64_t there, int64_t here) { to[here] = from[there]; });
    }
    return reinterpret_cast<const T*>(frame.bytes(to_));
  }

 private:
  DenseRows(Rows rows, Place from, Place to) : rows_(std::move(rows)), from_(from), to_(to) {}
  Rows rows_;
  Place from_, to_;
};

// Softmax in place. Entries of -inf give exactly 0; a row of nothing else gives NaN. The
// exponentials are added one after the other, so that those of -inf change nothing wherever they
// stand: a row of attention has the same bits whether its tokens lie in the cache or beside it.
void softmax_row(float* row, int64_t n);

// Emits the step that replaces each row of x along `axes` by what `f(T* row, int64_t length,
// int64_t row_index, const Frame&)` makes of it in place. `grain`: elements worth a thread of their
// own.
template <class T, class F>
Status emit_row_map(const mil::Op& op, Lowering& lowering, const std::vector<int64_t>& axes,
                    int64_t grain, F f) {
  const mil::Value& value = *op.operand("x");
  const Rows rows = rows_along(value.type.shape, axes);
  const bool dense = rows.is_dense();
  const Place x = TRY(lowering.cells(value));
  const Place result = TRY(lowering.result(*op.result()));
  const Place packed =
      dense ? result : TRY(lowering.scratch(static_cast<uint64_t>(rows.count * rows.length)));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const T* from = reinterpret_cast<const T*>(frame.bytes(x));
    T* work = reinterpret_cast<T*>(frame.bytes(packed));
    if (!dense) {
      walk_elements(rows.loop, [&](int64_t there, int64_t here) { work[here] = from[there]; });
    }
    frame.pool.parallel_for(rows.count, std::max<int64_t>(grain / rows.length, 1),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t r = begin; r < end; ++r) {
                                T* row = work + r * rows.length;
                                if (dense) std::copy_n(from + r * rows.length, rows.length, row);
                                f(row, rows.length, r, frame);
                              }
                            });
    if (!dense) {
      T* out = reinterpret_cast<T*>(frame.bytes(result));
      walk_elements(rows.loop, [&](int64_t there, int64_t here) { out[there] = work[here]; });
    }
    return {};
  });
  return {};
}

}  // namespace diptych::engine
