// Products of matrices: each element of a result is one dot product in fp32, computed the same way
// however many rows there are, or, of integers, one in 64 bits that is wrapped.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels.h"
#include "engine/rows.h"
#include "engine/strided.h"
#include "engine/vector_ops.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Multiply-adds worth a thread of their own.
constexpr int64_t kContractGrain = 1 << 16;

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

// The same of integers.
void multiply_rows(const MatmulShape& shape, const int32_t* x, const int32_t* y, int64_t begin,
                   int64_t end, int32_t* out) {
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < shape.n; ++j) {
      uint64_t total = 0;
      for (int64_t k = 0; k < shape.k; ++k) {
        const int64_t a = x[shape.transpose_x ? k * shape.m + i : i * shape.k + k];
        const int64_t b = y[shape.transpose_y ? j * shape.k + k : k * shape.n + j];
        total += static_cast<uint64_t>(a * b);
      }
      out[i * shape.n + j] = static_cast<int32_t>(total);
    }
  }
}

// The strides of a tensor's leading axes in the batch shape of the result.
Shape batch_strides(const Shape& from, const Shape& result) {
  const Shape strides = broadcast_strides(from, result);
  return {strides.begin(), strides.end() - 2};
}

template <class T>
Status emit_matmul(const mil::Op& op, Lowering& lowering, const Shape& x_shape,
                   const Shape& y_shape, const Shape& shape) {
  MatmulShape one{shape.end()[-2], 0, shape.end()[-1],
                  TRY(mil::bool_param(op, "transpose_x", false)),
                  TRY(mil::bool_param(op, "transpose_y", false))};
  one.k = one.transpose_x ? x_shape.end()[-2] : x_shape.end()[-1];
  const StridedLoop<2> batch(Shape(shape.begin(), shape.end() - 2),
                             {batch_strides(x_shape, shape), batch_strides(y_shape, shape)});
  const DType dtype = op.result()->type.dtype;
  const Place x = TRY(lowering.cells_like(*op.operand("x"), dtype));
  const Place y = TRY(lowering.cells_like(*op.operand("y"), dtype));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const T* a = reinterpret_cast<const T*>(frame.bytes(x));
    const T* b = reinterpret_cast<const T*>(frame.bytes(y));
    T* out = reinterpret_cast<T*>(frame.bytes(result));
    const int64_t length = batch.run_length(), steps_a = batch.steps()[0],
                  steps_b = batch.steps()[1];
    const int64_t rows = batch.runs() * length * one.m;
    frame.pool.parallel_for(
        rows, at_least_one(kContractGrain / (one.k * one.n)), [&](int64_t begin, int64_t end) {
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

// x · weightᵀ + bias, in the type of x.
template <class T>
Status emit_linear(const mil::Op& op, Lowering& lowering) {
  const Shape& weight_shape = op.operand("weight")->type.shape;
  const DType dtype = op.result()->type.dtype;
  const mil::Value* bias_value = op.operand("bias");
  const StepRows rows = lowering.rows_of(*op.operand("x"));
  const MatmulShape shape{rows.count, weight_shape[1], weight_shape[0], false, true};
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place weight = TRY(lowering.cells_like(*op.operand("weight"), dtype));
  std::optional<Place> bias;
  if (bias_value != nullptr) bias = TRY(lowering.cells_like(*bias_value, dtype));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const auto cells = [&](Place place) { return reinterpret_cast<T*>(frame.bytes(place)); };
    T* out = cells(result);
    multiply_rows(shape, cells(x), cells(weight), 0, shape.m, out);
    using Sum = std::conditional_t<std::is_same_v<T, float>, float, int64_t>;
    for (int64_t i = 0; bias && i < shape.m * shape.n; ++i) {
      out[i] = static_cast<T>(Sum{out[i]} + cells(*bias)[i % shape.n]);
    }
    return {};
  });
  return {};
}

}  // namespace

Status lower_matmul(const mil::Op& op, Lowering& lowering) {
  Shape x_shape = op.operand("x")->type.shape, shape = op.result()->type.shape;
  const Shape& y_shape = op.operand("y")->type.shape;
  if (x_shape.size() == 1) {  // a matrix of one row, which the result does not have
    x_shape.insert(x_shape.begin(), 1);
    shape.insert(shape.end() - 1, 1);
  }
  return is_float(op.result()->type.dtype)
             ? emit_matmul<float>(op, lowering, x_shape, y_shape, shape)
             : emit_matmul<int32_t>(op, lowering, x_shape, y_shape, shape);
}

Status lower_plain_linear(const mil::Op& op, Lowering& lowering) {
  return is_float(op.result()->type.dtype) ? emit_linear<float>(op, lowering)
                                           : emit_linear<int32_t>(op, lowering);
}

// x [b, c, h, k] by y [b, k, h, n], where b is 1 in equations of rank 3 and b and h broadcast.
Status lower_einsum(const mil::Op& op, Lowering& lowering) {
  const auto& values = op.operand_list("values");
  const auto four = [](Shape shape) {
    if (shape.size() == 3) shape.insert(shape.begin(), 1);
    return shape;
  };
  const Shape xs = four(values[0]->type.shape), ys = four(values[1]->type.shape),
              shape = four(op.result()->type.shape);
  const Place x = TRY(lowering.cells(*values[0]));
  const Place y = TRY(lowering.cells(*values[1]));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const int64_t rows = shape[0] * shape[1] * shape[2], k = xs[3], n = shape[3];
    frame.pool.parallel_for(
        rows, at_least_one(kContractGrain / (k * n)), [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            const int64_t h = row % shape[2], c = row / shape[2] % shape[1];
            const int64_t b = row / shape[2] / shape[1];
            const int64_t from =
                ((b % xs[0] * xs[1] + c) * xs[2] + h % xs[2]) * k;  // a size of 1 broadcasts
            const int64_t to = (b % ys[0] * k * ys[2] + h % ys[2]) * n;
            weighted_sum(frame.floats(x) + from, frame.floats(y) + to,
                         static_cast<size_t>(ys[2] * n), static_cast<size_t>(k),
                         static_cast<size_t>(n), frame.floats(result) + row * n);
          }
        });
    return {};
  });
  return {};
}

// softmax(query · keyᵀ / √e + mask) · value, a row of the query at a time.
Status lower_attention(const mil::Op& op, Lowering& lowering) {
  const Shape& query_shape = op.operand("query")->type.shape;
  const Shape& value_shape = op.operand("value")->type.shape;
  const mil::Value* mask_value = op.operand("attn_mask");
  const int64_t length = query_shape.end()[-2], e = query_shape.back();
  const int64_t s = value_shape.end()[-2], width = value_shape.back();
  const int64_t rows = static_cast<int64_t>(TRY(element_count(query_shape))) / e;
  const Place query = TRY(lowering.cells(*op.operand("query")));
  const Place key = TRY(lowering.cells(*op.operand("key")));
  const Place value = TRY(lowering.cells(*op.operand("value")));
  const bool is_bool = mask_value != nullptr && mask_value->type.dtype == DType::Bool;
  std::optional<Place> mask;
  Shape mask_dims(query_shape.begin(), query_shape.end() - 1), mask_strides;
  mask_dims.push_back(s);
  if (mask_value != nullptr) {
    mask = TRY(lowering.cells(*mask_value));
    mask_strides = broadcast_strides(mask_value->type.shape, mask_dims);
  }
  const Place result = TRY(lowering.result(*op.result()));
  lowering.thread_scratch(static_cast<uint64_t>(s * kCellSize));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const float scale = 1.0f / std::sqrt(static_cast<float>(e));
    const auto run = [&](int64_t row, float* scores) {
      const int64_t batch = row / length;
      dot_rows(frame.floats(query) + row * e, frame.floats(key) + batch * s * e,
               static_cast<size_t>(e), static_cast<size_t>(s), static_cast<size_t>(e), scores, 1);
      int64_t at = 0, rest = row;
      for (size_t i = mask_strides.size(); i-- > 1;) {  // the mask's row
        at += rest % mask_dims[i - 1] * mask_strides[i - 1];
        rest /= mask_dims[i - 1];
      }
      for (int64_t i = 0; i < s; ++i) {
        scores[i] *= scale;
        if (!mask) continue;
        const int64_t cell = at + i * mask_strides.back();
        if (!is_bool) {
          scores[i] += frame.floats(*mask)[cell];
        } else if (frame.ints(*mask)[cell] == 0) {
          scores[i] = -std::numeric_limits<float>::infinity();
        }
      }
      softmax_row(scores, s);
      weighted_sum(scores, frame.floats(value) + batch * s * width, static_cast<size_t>(width),
                   static_cast<size_t>(s), static_cast<size_t>(width),
                   frame.floats(result) + row * width);
    };
    frame.pool.parallel_for(rows, at_least_one(kContractGrain / (s * (e + width))),
                            [&](int64_t begin, int64_t end, int thread) {
                              for (int64_t row = begin; row < end; ++row) {
                                run(row, reinterpret_cast<float*>(frame.scratch(thread)));
                              }
                            });
    return {};
  });
  return {};
}

}  // namespace diptych::engine
