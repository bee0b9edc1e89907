// Sorting along an axis. Equal elements keep their order, and NaN comes last either way.
#include <algorithm>
#include <numeric>

#include "engine/kernels.h"
#include "engine/rows.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kSortGrain = 1 << 11;  // elements worth a thread of their own

// The first k places of a row in sorted order.
template <class T>
void sort_row(const T* row, int64_t n, int64_t k, bool ascending, std::vector<int32_t>& places) {
  places.resize(static_cast<size_t>(n));
  std::iota(places.begin(), places.end(), 0);
  const auto before = [&](int32_t a, int32_t b) {
    const T x = row[a], y = row[b];
    const bool x_is_nan = x != x, y_is_nan = y != y;
    if (x_is_nan != y_is_nan) return y_is_nan;
    if (x_is_nan || x == y) return a < b;
    return ascending ? x < y : x > y;
  };
  std::partial_sort(places.begin(), places.begin() + k, places.end(), before);
}

// Writes the first k elements of each sorted row of x and their places; either may be absent.
template <class T>
Status emit_sort(const mil::Op& op, Lowering& lowering, int64_t axis, int64_t k, bool ascending,
                 const mil::Value* values, const mil::Value* indices) {
  const mil::Value& value = *op.operand("x");
  const Rows rows = rows_along(value.type.shape, {axis});
  Shape sorted_shape = value.type.shape;
  sorted_shape[static_cast<size_t>(axis)] = k;
  const Rows sorted = rows_along(sorted_shape, {axis});
  const auto x = TRY(DenseRows<T>::open(value, rows, lowering));
  std::optional<Place> elements, places;
  if (values != nullptr) elements = TRY(lowering.result(*values));
  if (indices != nullptr) places = TRY(lowering.result(*indices));
  const Place order = TRY(lowering.scratch(static_cast<uint64_t>(rows.count * k)));
  lowering.emit(op, [=, length = rows.length, count = rows.count](const Frame& frame) -> Status {
    const T* from = x.dense(frame);
    int32_t* found = frame.ints(order);
    frame.pool.parallel_for(count, std::max<int64_t>(kSortGrain / length, 1),
                            [&](int64_t begin, int64_t end) {
                              std::vector<int32_t> row;
                              for (int64_t r = begin; r < end; ++r) {
                                sort_row(from + r * length, length, k, ascending, row);
                                std::copy_n(row.begin(), k, found + r * k);
                              }
                            });
    walk_elements(sorted.loop, [&](int64_t there, int64_t here) {
      const int32_t place = found[here];
      if (places) frame.ints(*places)[there] = place;
      if (elements) {
        reinterpret_cast<T*>(frame.bytes(*elements))[there] = from[here / k * length + place];
      }
    });
    return {};
  });
  return {};
}

Status lower_sort(const mil::Op& op, Lowering& lowering, int64_t axis, int64_t k, bool ascending,
                  const mil::Value* values, const mil::Value* indices) {
  if (is_float(op.operand("x")->type.dtype)) {
    return emit_sort<float>(op, lowering, axis, k, ascending, values, indices);
  }
  return emit_sort<int32_t>(op, lowering, axis, k, ascending, values, indices);
}

}  // namespace

Status lower_argsort(const mil::Op& op, Lowering& lowering) {
  const TensorType& x = op.operand("x")->type;
  const int64_t axis = TRY(mil::resolve_axis(TRY(mil::int_param(op, "axis", -1)), x.rank()));
  return lower_sort(op, lowering, axis, x.shape[static_cast<size_t>(axis)],
                    TRY(mil::bool_param(op, "ascending", false)), nullptr, op.result());
}

Status lower_topk(const mil::Op& op, Lowering& lowering) {
  const TensorType& x = op.operand("x")->type;
  const int64_t axis = TRY(mil::resolve_axis(TRY(mil::int_param(op, "axis", -1)), x.rank()));
  return lower_sort(op, lowering, axis, op.result()->type.shape[static_cast<size_t>(axis)],
                    TRY(mil::bool_param(op, "ascending", false)), op.result(),
                    op.results.size() > 1 ? op.results[1] : nullptr);
}

}  // namespace diptych::engine
