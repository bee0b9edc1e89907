// Reading and writing at computed places. All six operations select slices of a tensor by indices
// and differ in which axes the indices run along; gathers copy the slices, scatters combine them
// with updates, one after the other.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/indices.h"
#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kGatherScatterGrain = 1 << 13;  // elements worth a thread of their own

// Slice p of a selection, p = ((b * repeats + m) * places + k) * inner + j, consists of `slice`
// elements from
//   (b * repeats + m) * span + j + the sum of axes[d].stride * index[d]
// where the indices are those at position ((b * places + k) * inner + j).
struct Selection {
  struct Axis {
    int64_t size, stride;
  };
  int64_t batches = 1, repeats = 1, places = 1, inner = 1;
  int64_t span = 1, slice = 1;
  std::vector<Axis> axes;
  bool negative = false;

  int64_t count() const { return batches * repeats * places * inner; }

  Status check(const int32_t* indices) const {
    const auto depth = static_cast<int64_t>(axes.size());
    for (int64_t i = 0; i < batches * places * inner * depth; ++i) {
      TRY(check_index(indices[i], i, axes[static_cast<size_t>(i % depth)].size, negative));
    }
    return {};
  }

  int64_t offset(const int32_t* indices, int64_t p) const {
    const int64_t j = p % inner, k = p / inner % places, outer = p / inner / places;
    const int64_t position = (outer / repeats * places + k) * inner + j;
    int64_t at = outer * span + j;
    const int32_t* index = indices + position * static_cast<int64_t>(axes.size());
    for (const Axis& axis : axes) at += resolve_index(*index++, axis.size) * axis.stride;
    return at;
  }
};

int64_t product(const Shape& shape, size_t first, size_t last) {
  return std::accumulate(shape.begin() + static_cast<std::ptrdiff_t>(first),
                         shape.begin() + static_cast<std::ptrdiff_t>(last), int64_t{1},
                         std::multiplies<>());
}

Result<size_t> axis_of(const mil::Op& op, const Shape& shape) {
  return static_cast<size_t>(TRY(
      mil::resolve_axis(TRY(mil::int_param(op, "axis", 0)), static_cast<int64_t>(shape.size()))));
}

// Whole slices behind an axis: gather, scatter.
Result<Selection> along_slices(const mil::Op& op, const Shape& data, const Shape& indices) {
  const size_t axis = TRY(axis_of(op, data));
  const auto batch = static_cast<size_t>(TRY(mil::int_param(op, "batch_dims", 0)));
  Selection selection;
  selection.batches = product(data, 0, batch);
  selection.repeats = product(data, batch, axis);
  selection.places = product(indices, batch, indices.size());
  selection.slice = product(data, axis + 1, data.size());
  selection.span = data[axis] * selection.slice;
  selection.axes = {{data[axis], selection.slice}};
  return selection;
}

// Single elements along an axis: gather_along_axis, scatter_along_axis.
Result<Selection> along_elements(const mil::Op& op, const Shape& data, const Shape& indices) {
  const size_t axis = TRY(axis_of(op, data));
  Selection selection;
  selection.batches = product(data, 0, axis);
  selection.places = indices[axis];
  selection.inner = product(data, axis + 1, data.size());
  selection.span = data[axis] * selection.inner;
  selection.axes = {{data[axis], selection.inner}};
  return selection;
}

// Slices behind several axes, whose indices are the last axis of `indices`: gather_nd, scatter_nd.
Result<Selection> nd_slices(const mil::Op& op, const Shape& data, const Shape& indices) {
  const auto batch = static_cast<size_t>(TRY(mil::int_param(op, "batch_dims", 0)));
  const size_t behind = batch + static_cast<size_t>(indices.back());
  Selection selection;
  selection.batches = product(data, 0, batch);
  selection.places = product(indices, batch, indices.size() - 1);
  selection.span = product(data, batch, data.size());
  selection.slice = product(data, behind, data.size());
  for (size_t i = batch; i < behind; ++i) {
    selection.axes.push_back({data[i], product(data, i + 1, data.size())});
  }
  return selection;
}

using Select = Result<Selection> (*)(const mil::Op&, const Shape&, const Shape&);

Result<Selection> select(const mil::Op& op, const mil::Value& data, Lowering& lowering, Select by) {
  Selection selection = TRY(by(op, data.type.shape, op.operand("indices")->type.shape));
  selection.negative = negative_indices(lowering);
  return selection;
}

Status emit_gather(const mil::Op& op, Lowering& lowering, Select by) {
  const mil::Value& data = *op.operand("x");
  const Selection selection = TRY(select(op, data, lowering, by));
  const Place x = TRY(lowering.cells(data));
  const Place indices = TRY(lowering.cells(*op.operand("indices")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const int32_t* at = frame.ints(indices);
    TRY(selection.check(at));
    const int64_t bytes = selection.slice * kCellSize;
    frame.pool.parallel_for(selection.count(),
                            std::max<int64_t>(kGatherScatterGrain / selection.slice, 1),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t p = begin; p < end; ++p) {
                                std::memcpy(frame.bytes(result) + p * bytes,
                                            frame.bytes(x) + selection.offset(at, p) * kCellSize,
                                            static_cast<size_t>(bytes));
                              }
                            });
    return {};
  });
  return {};
}

// What a mode makes of an element and its update.
template <class T>
using Combine = T (*)(T old, T update);
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, float, int64_t>;

template <class T>
Combine<T> combine_by(std::string_view mode) {
  if (mode == "update") return [](T, T b) { return b; };
  if (mode == "sub") return [](T a, T b) { return static_cast<T>(Wide<T>{a} - b); };
  if (mode == "mul") return [](T a, T b) { return static_cast<T>(Wide<T>{a} * b); };
  if (mode == "max") return [](T a, T b) { return a > b || a != a ? a : b; };
  if (mode == "min") return [](T a, T b) { return a < b || a != a ? a : b; };
  if (mode == "div") {
    return [](T a, T b) {
      if constexpr (std::is_same_v<T, float>) return a / b;
      return b == 0 ? T{0} : static_cast<T>(Wide<T>{a} / b);
    };
  }
  return [](T a, T b) { return static_cast<T>(Wide<T>{a} + b); };
}

template <class T>
Status emit_scatter_of(const mil::Op& op, Lowering& lowering, const Selection& selection) {
  const mil::Value& value = *op.operand("data");
  const Combine<T> combine = combine_by<T>(TRY(mil::string_param(op, "mode", "add")));
  const auto size = static_cast<size_t>(TRY(element_count(value.type.shape))) * kCellSize;
  const Place data = TRY(lowering.cells(value));
  const Place indices = TRY(lowering.cells(*op.operand("indices")));
  const Place updates = TRY(lowering.cells(*op.operand("updates")));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const int32_t* at = frame.ints(indices);
    TRY(selection.check(at));
    std::memcpy(frame.bytes(result), frame.bytes(data), size);
    const T* update = reinterpret_cast<const T*>(frame.bytes(updates));
    for (int64_t p = 0; p < selection.count(); ++p) {
      T* out = reinterpret_cast<T*>(frame.bytes(result)) + selection.offset(at, p);
      for (int64_t i = 0; i < selection.slice; ++i) out[i] = combine(out[i], *update++);
    }
    return {};
  });
  return {};
}

Status emit_scatter(const mil::Op& op, Lowering& lowering, Select by) {
  const mil::Value& data = *op.operand("data");
  const Selection selection = TRY(select(op, data, lowering, by));
  if (is_float(data.type.dtype)) return emit_scatter_of<float>(op, lowering, selection);
  return emit_scatter_of<int32_t>(op, lowering, selection);
}

}  // namespace

Status lower_gather_batches(const mil::Op& op, Lowering& lowering) {
  return emit_gather(op, lowering, along_slices);
}
Status lower_gather_along_axis(const mil::Op& op, Lowering& lowering) {
  return emit_gather(op, lowering, along_elements);
}
Status lower_gather_nd(const mil::Op& op, Lowering& lowering) {
  return emit_gather(op, lowering, nd_slices);
}
Status lower_scatter(const mil::Op& op, Lowering& lowering) {
  return emit_scatter(op, lowering, along_slices);
}
Status lower_scatter_along_axis(const mil::Op& op, Lowering& lowering) {
  return emit_scatter(op, lowering, along_elements);
}
Status lower_scatter_nd(const mil::Op& op, Lowering& lowering) {
  return emit_scatter(op, lowering, nd_slices);
}

}  // namespace diptych::engine
