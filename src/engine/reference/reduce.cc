// Operations that combine the elements along some axes. Floats accumulate in fp32, integers in 64
// bits and then wrap. A reduction is a row of the table: what one row of elements gives.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels.h"
#include "engine/rows.h"
#include "engine/vector_ops.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kReduceGrain = 1 << 15;  // elements worth a thread of their own
constexpr int64_t kExpGrain = 1 << 12;     // the same where an exponential is computed

// result[r] = f(row, length) for each row of x along `axes`.
template <class T, class To, class F>
Status emit_reduction(const mil::Op& op, Lowering& lowering, const std::vector<int64_t>& axes,
                      F f) {
  const mil::Value& value = *op.operand("x");
  const Rows rows = rows_along(value.type.shape, axes);
  const auto x = TRY(DenseRows<T>::open(value, rows, lowering));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=, count = rows.count, length = rows.length](const Frame& frame) -> Status {
    const T* from = x.dense(frame);
    To* out = reinterpret_cast<To*>(frame.bytes(result));
    frame.pool.parallel_for(count, std::max<int64_t>(kReduceGrain / length, 1),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t r = begin; r < end; ++r) {
                                out[r] = f(from + r * length, length);
                              }
                            });
    return {};
  });
  return {};
}

// A NaN in the row is the result.
float row_max(const float* row, int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n; ++i) {
    if (row[i] > largest || std::isnan(row[i])) largest = row[i];
    if (std::isnan(largest)) return largest;
  }
  return largest;
}
float row_min(const float* row, int64_t n) {
  float smallest = std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n; ++i) {
    if (row[i] < smallest || std::isnan(row[i])) smallest = row[i];
    if (std::isnan(smallest)) return smallest;
  }
  return smallest;
}

float row_sum(const float* row, int64_t n) { return sum(row, static_cast<size_t>(n)); }
float row_mean(const float* row, int64_t n) { return row_sum(row, n) / static_cast<float>(n); }
float row_log_sum(const float* row, int64_t n) { return std::log(row_sum(row, n)); }

// The sum of f(element).
template <class F>
float sum_of(const float* row, int64_t n, F f) {
  float total = 0;
  for (int64_t i = 0; i < n; ++i) total += f(row[i]);
  return total;
}
float row_l1(const float* row, int64_t n) {
  return sum_of(row, n, [](float v) { return std::abs(v); });
}
float row_sum_square(const float* row, int64_t n) {
  return sum_of(row, n, [](float v) { return v * v; });
}
float row_l2(const float* row, int64_t n) { return std::sqrt(row_sum_square(row, n)); }
float row_log_sum_exp(const float* row, int64_t n) {
  const float largest = row_max(row, n);
  if (!std::isfinite(largest)) return largest;
  return largest + std::log(sum_of(row, n, [&](float v) { return std::exp(v - largest); }));
}
float row_prod(const float* row, int64_t n) {
  float product = 1;
  for (int64_t i = 0; i < n; ++i) product *= row[i];
  return product;
}

// The same of integers. What is no integer is truncated.
template <class F>
int64_t int_sum_of(const int32_t* row, int64_t n, F f) {
  uint64_t total = 0;
  for (int64_t i = 0; i < n; ++i) total += static_cast<uint64_t>(f(int64_t{row[i]}));
  return static_cast<int64_t>(total);
}
int64_t int_max(const int32_t* row, int64_t n) { return *std::max_element(row, row + n); }
int64_t int_min(const int32_t* row, int64_t n) { return *std::min_element(row, row + n); }
int64_t int_sum(const int32_t* row, int64_t n) {
  return int_sum_of(row, n, [](int64_t v) { return v; });
}
int64_t int_mean(const int32_t* row, int64_t n) { return int_sum(row, n) / n; }
int64_t int_l1(const int32_t* row, int64_t n) {
  return int_sum_of(row, n, [](int64_t v) { return v < 0 ? -v : v; });
}
int64_t int_sum_square(const int32_t* row, int64_t n) {
  return int_sum_of(row, n, [](int64_t v) { return v * v; });
}
// Truncated to an integer; what is none, as logarithms of 0, is 0.
int64_t truncated(double value) {
  return std::abs(value) < 0x1p31 ? static_cast<int64_t>(value) : 0;
}
int64_t int_l2(const int32_t* row, int64_t n) {
  return truncated(std::sqrt(static_cast<double>(int_sum_square(row, n))));
}
int64_t int_log_sum(const int32_t* row, int64_t n) {
  return truncated(std::log(static_cast<double>(int_sum(row, n))));
}
int64_t int_log_sum_exp(const int32_t* row, int64_t n) {
  const int64_t largest = int_max(row, n);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += std::exp(static_cast<double>(row[i] - largest));
  return truncated(static_cast<double>(largest) + std::log(total));
}
int64_t int_prod(const int32_t* row, int64_t n) {
  uint64_t product = 1;
  for (int64_t i = 0; i < n; ++i) product *= static_cast<uint64_t>(int64_t{row[i]});
  return static_cast<int64_t>(product);
}

struct Reduction {
  std::string_view op;
  float (*floats)(const float* row, int64_t n);
  int64_t (*ints)(const int32_t* row, int64_t n);
};
constexpr Reduction kReductions[] = {
    {"reduce_l1_norm", row_l1, int_l1},
    {"reduce_l2_norm", row_l2, int_l2},
    {"reduce_log_sum", row_log_sum, int_log_sum},
    {"reduce_log_sum_exp", row_log_sum_exp, int_log_sum_exp},
    {"reduce_max", row_max, int_max},
    {"reduce_mean", row_mean, int_mean},
    {"reduce_min", row_min, int_min},
    {"reduce_prod", row_prod, int_prod},
    {"reduce_sum", row_sum, int_sum},
    {"reduce_sum_square", row_sum_square, int_sum_square},
};

// The first place of the largest element, or of the smallest. A NaN counts as both.
template <class T>
int32_t row_arg(const T* row, int64_t n, bool largest) {
  int64_t at = 0;
  for (int64_t i = 1; i < n; ++i) {
    if (row[at] != row[at]) break;
    if (row[i] != row[i] || (largest ? row[i] > row[at] : row[i] < row[at])) at = i;
  }
  return static_cast<int32_t>(at);
}

// In place: the sum up to each element, or up to the one before it; from the end when `backwards`.
template <class T>
void cumulate_row(T* row, int64_t n, bool exclusive, bool backwards) {
  using Sum = std::conditional_t<std::is_same_v<T, float>, float, uint32_t>;
  Sum total = 0;
  for (int64_t i = 0; i < n; ++i) {
    T& element = row[backwards ? n - 1 - i : i];
    const Sum before = total;
    total += static_cast<Sum>(element);
    element = static_cast<T>(exclusive ? before : total);
  }
}

Result<int64_t> axis_of(const mil::Op& op, int64_t fallback) {
  return mil::resolve_axis(TRY(mil::int_param(op, "axis", fallback)), op.operand("x")->type.rank());
}

}  // namespace

void softmax_row(float* row, int64_t n) {
  const float largest = row_max(row, n);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += row[i] = std::exp(row[i] - largest);
  const auto divisor = static_cast<float>(total);
  for (int64_t i = 0; i < n; ++i) row[i] /= divisor;
}

Status lower_reduce(const mil::Op& op, Lowering& lowering) {
  const Reduction& row = *std::find_if(std::begin(kReductions), std::end(kReductions),
                                       [&](const Reduction& r) { return r.op == op.type; });
  const TensorType& x = op.operand("x")->type;
  const auto axes = TRY(mil::resolve_axes_param(op, "axes", x.rank()));
  if (is_float(x.dtype)) return emit_reduction<float, float>(op, lowering, axes, row.floats);
  return emit_reduction<int32_t, int32_t>(op, lowering, axes,
                                          [f = row.ints](const int32_t* elements, int64_t n) {
                                            return static_cast<int32_t>(f(elements, n));
                                          });
}

Status lower_reduce_arg(const mil::Op& op, Lowering& lowering) {
  const bool largest = op.type == "reduce_argmax";
  const std::vector<int64_t> axes{TRY(axis_of(op, -1))};
  const auto find = [largest](const auto* row, int64_t n) { return row_arg(row, n, largest); };
  if (is_float(op.operand("x")->type.dtype)) {
    return emit_reduction<float, int32_t>(op, lowering, axes, find);
  }
  return emit_reduction<int32_t, int32_t>(op, lowering, axes, find);
}

// The first of the likeliest classes, and the probabilities as they are.
Status lower_classify(const mil::Op& op, Lowering& lowering) {
  const mil::Value& probabilities = *op.operand("probabilities");
  const int64_t count = op.results[1]->type.shape[0];
  const Place from = TRY(lowering.cells(probabilities));
  const Place to = TRY(lowering.result(*op.results[0]));
  lowering.alias(*op.results[1], probabilities);
  lowering.emit(op, [=](const Frame& frame) -> Status {
    frame.ints(to)[0] = row_arg(frame.floats(from), count, true);
    return {};
  });
  return {};
}

Status lower_softmax(const mil::Op& op, Lowering& lowering) {
  return emit_row_map<float>(
      op, lowering, {TRY(axis_of(op, -1))}, kExpGrain,
      [](float* row, int64_t n, int64_t, const Frame&) { softmax_row(row, n); });
}

Status lower_cumsum(const mil::Op& op, Lowering& lowering) {
  const std::vector<int64_t> axes{TRY(axis_of(op, 0))};
  const bool exclusive = TRY(mil::bool_param(op, "exclusive", false));
  const bool backwards = TRY(mil::bool_param(op, "reverse", false));
  const auto cumulate = [=](auto* row, int64_t n, int64_t, const Frame&) {
    cumulate_row(row, n, exclusive, backwards);
  };
  if (is_float(op.result()->type.dtype)) {
    return emit_row_map<float>(op, lowering, axes, kReduceGrain, cumulate);
  }
  return emit_row_map<int32_t>(op, lowering, axes, kReduceGrain, cumulate);
}

}  // namespace diptych::engine
