// Operations that combine the elements along some axes. All accumulate in fp32.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/kernels.h"
#include "engine/strided.h"
#include "engine/vector_ops.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kGrain = 1 << 15;     // elements worth a thread of their own
constexpr int64_t kExpGrain = 1 << 12;  // the same where an exponential is computed

// A tensor seen as rows of the elements that are combined, the kept axes outside.
struct Rows {
  int64_t count = 1, length = 1;
  StridedLoop<1> loop;  // over the tensor, in the rows' order
};

Rows rows_along(const Shape& shape, const std::vector<int64_t>& axes) {
  const Shape dense = row_major_strides(shape);
  Shape dims, strides;
  int64_t count = 1, length = 1;
  for (const bool reduced : {false, true}) {
    for (size_t i = 0; i < shape.size(); ++i) {
      if (std::binary_search(axes.begin(), axes.end(), static_cast<int64_t>(i)) != reduced)
        continue;
      dims.push_back(shape[i]);
      strides.push_back(dense[i]);
      (reduced ? length : count) *= shape[i];
    }
  }
  return {count, length, StridedLoop<1>(dims, {strides})};
}

// Whether the rows lie one behind another as they are.
bool is_dense(const Rows& rows) {
  return rows.loop.runs() == 1 && (rows.loop.steps()[0] == 1 || rows.loop.run_length() == 1);
}

// Copies elements between the tensor and dense rows.
template <class Copy>
void walk_elements(const StridedLoop<1>& loop, Copy copy) {
  const int64_t length = loop.run_length(), step = loop.steps()[0];
  loop.walk(0, loop.runs(), [&](int64_t run, const StridedLoop<1>::Offsets& at) {
    for (int64_t i = 0; i < length; ++i) copy(at[0] + i * step, run * length + i);
  });
}

// result[r] = f(row, length) for each row of x.
template <class F>
Status lower_reduce(const mil::Op& op, Lowering& lowering, F f) {
  const mil::Value& value = *op.operand("x");
  if (!is_float(value.type.dtype)) return unsupported("type {}", to_string(value.type));
  std::vector<int64_t> all(value.type.shape.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  const auto axes =
      TRY(mil::resolve_axes(TRY(mil::ints_param(op, "axes", std::move(all))), value.type.rank()));
  const Rows rows = rows_along(value.type.shape, axes);
  const bool dense = is_dense(rows);
  const Place x = TRY(lowering.cells(value));
  const Place packed =
      dense ? x : TRY(lowering.scratch(static_cast<uint64_t>(rows.count * rows.length)));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    float* from = frame.floats(packed);
    if (!dense) {
      const float* tensor = frame.floats(x);
      walk_elements(rows.loop, [&](int64_t there, int64_t here) { from[here] = tensor[there]; });
    }
    float* out = frame.floats(result);
    frame.pool.parallel_for(rows.count, std::max<int64_t>(kGrain / rows.length, 1),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t r = begin; r < end; ++r) {
                                out[r] = f(from + r * rows.length, rows.length);
                              }
                            });
    return {};
  });
  return {};
}

float row_sum(const float* row, int64_t n) { return sum(row, static_cast<size_t>(n)); }

// A NaN in the row is the result.
float row_max(const float* row, int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n; ++i) {
    if (row[i] > largest || std::isnan(row[i])) largest = row[i];
    if (std::isnan(largest)) return largest;
  }
  return largest;
}

// In place. Entries of -inf give exactly 0; a row of nothing else gives NaN. The exponentials are
// added one after the other, so that those of -inf change nothing wherever they stand: a row of
// attention has the same bits whether its tokens lie in the cache or beside it.
void softmax_row(float* row, int64_t n) {
  const float largest = row_max(row, n);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += row[i] = std::exp(row[i] - largest);
  const auto divisor = static_cast<float>(total);
  for (int64_t i = 0; i < n; ++i) row[i] /= divisor;
}

}  // namespace

Status lower_reduce_sum(const mil::Op& op, Lowering& lowering) {
  return lower_reduce(op, lowering, row_sum);
}
Status lower_reduce_mean(const mil::Op& op, Lowering& lowering) {
  return lower_reduce(op, lowering, [](const float* row, int64_t n) {
    return row_sum(row, n) / static_cast<float>(n);
  });
}
Status lower_reduce_max(const mil::Op& op, Lowering& lowering) {
  return lower_reduce(op, lowering, row_max);
}

Status lower_softmax(const mil::Op& op, Lowering& lowering) {
  const mil::Value& value = *op.operand("x");
  const int64_t axis =
      TRY(mil::resolve_axis(TRY(mil::int_param(op, "axis", -1)), value.type.rank()));
  const Rows rows = rows_along(value.type.shape, {axis});
  const bool dense = is_dense(rows);
  const Place x = TRY(lowering.cells(value));
  const Place result = TRY(lowering.result(*op.result()));
  const Place packed =
      dense ? result : TRY(lowering.scratch(static_cast<uint64_t>(rows.count * rows.length)));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const float* from = frame.floats(x);
    float* work = frame.floats(packed);
    if (!dense) {
      walk_elements(rows.loop, [&](int64_t there, int64_t here) { work[here] = from[there]; });
    }
    frame.pool.parallel_for(rows.count, std::max<int64_t>(kExpGrain / rows.length, 1),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t r = begin; r < end; ++r) {
                                float* row = work + r * rows.length;
                                if (dense) std::copy_n(from + r * rows.length, rows.length, row);
                                softmax_row(row, rows.length);
                              }
                            });
    if (!dense) {
      float* out = frame.floats(result);
      walk_elements(rows.loop, [&](int64_t there, int64_t here) { out[there] = work[here]; });
    }
    return {};
  });
  return {};
}

}  // namespace diptych::engine
