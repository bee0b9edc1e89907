// matmul: each element of a result is one dot product in fp32, computed the same way however many
// rows there are.
#include <algorithm>

#include "engine/kernels.h"
#include "engine/strided.h"
#include "engine/vector_ops.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Multiply-adds worth a thread of their own.
constexpr int64_t kGrain = 1 << 16;

int64_t at_least_one(int64_t value) { return std::max<int64_t>(value, 1); }

// One matrix product of a batch: x is [m, k], y is [k, n], either of them stored transposed.
struct MatmulShape {
  int64_t m, k, n;
  bool transpose_x, transpose_y;
};

// Rows [begin, end) of the product.
void multiply_rows(const MatmulShape& shape, const float* x, const float* y, int64_t begin,
                   int64_t end, float* out) {
  const auto k = static_cast<size_t>(shape.k), n = static_cast<size_t>(shape.n);
  std::vector<float> column(shape.transpose_x ? k : 0);
  for (int64_t i = begin; i < end; ++i) {
    const float* row = x + i * shape.k;
    if (shape.transpose_x) {
      for (size_t j = 0; j < k; ++j) column[j] = x[static_cast<int64_t>(j) * shape.m + i];
      row = column.data();
    }
    if (shape.transpose_y) {
      dot_rows(row, y, k, n, k, out + i * shape.n, 1);
    } else {
      weighted_sum(row, y, n, k, n, out + i * shape.n);
    }
  }
}

// The strides of a tensor's leading axes in the batch shape of the result.
Shape batch_strides(const Shape& from, const Shape& result) {
  const Shape strides = broadcast_strides(from, result);
  return {strides.begin(), strides.end() - 2};
}

}  // namespace

Status lower_matmul(const mil::Op& op, Lowering& lowering) {
  const Shape& x_shape = op.operand("x")->type.shape;
  const Shape& y_shape = op.operand("y")->type.shape;
  const Shape& shape = op.result()->type.shape;
  MatmulShape one{shape.end()[-2], 0, shape.end()[-1],
                  TRY(mil::bool_param(op, "transpose_x", false)),
                  TRY(mil::bool_param(op, "transpose_y", false))};
  one.k = one.transpose_x ? x_shape.end()[-2] : x_shape.end()[-1];
  const StridedLoop<2> batch(Shape(shape.begin(), shape.end() - 2),
                             {batch_strides(x_shape, shape), batch_strides(y_shape, shape)});
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place y = TRY(lowering.cells(*op.operand("y")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const float* a = frame.floats(x);
    const float* b = frame.floats(y);
    float* out = frame.floats(result);
    const int64_t length = batch.run_length(), steps_a = batch.steps()[0],
                  steps_b = batch.steps()[1];
    const int64_t rows = batch.runs() * length * one.m;
    frame.pool.parallel_for(
        rows, at_least_one(kGrain / (one.k * one.n)), [&](int64_t begin, int64_t end) {
          const int64_t per_run = length * one.m;
          batch.walk(begin / per_run, (end + per_run - 1) / per_run,
                     [&](int64_t run, const StridedLoop<2>::Offsets& at) {
                       for (int64_t i = 0; i < length; ++i) {
                         const int64_t first = (run * length + i) * one.m;  // row of the result
                         const int64_t from = std::max(begin, first) - first;
                         const int64_t to = std::min(end, first + one.m) - first;
                         if (from >= to) continue;
                         multiply_rows(one, a + at[0] + i * steps_a, b + at[1] + i * steps_b, from,
                                       to, out + first * one.n);
                       }
                     });
        });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
