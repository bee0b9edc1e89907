// Operations that make a tensor from parameters: constants, ranges, one-hot vectors, shapes.

#include "engine/cells.h"
#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kFillGrain = 1 << 15;  // elements worth a thread of their own

// Emits the step that sets cell i of the result to f(frame, i).
template <class F>
Status emit_cells(const mil::Op& op, Lowering& lowering, F f) {
  const auto count = static_cast<int64_t>(TRY(element_count(op.result()->type.shape)));
  const Place result = TRY(lowering.result(*op.result()));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    auto* out = reinterpret_cast<uint32_t*>(frame.bytes(result));
    frame.pool.parallel_for(count, kFillGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = f(frame, i);
    });
    return {};
  });
  return {};
}

}  // namespace

Status lower_fill(const mil::Op& op, Lowering& lowering) {
  const uint32_t cell = cell_of(op.result()->type.dtype, TRY(mil::number_param(op, "value", 0)));
  return emit_cells(op, lowering, [cell](const Frame&, int64_t) { return cell; });
}

Status lower_range_1d(const mil::Op& op, Lowering& lowering) {
  const DType dtype = op.result()->type.dtype;
  const double start = TRY(mil::number_param(op, "start")),
               step = TRY(mil::number_param(op, "step"));
  return emit_cells(op, lowering, [=](const Frame&, int64_t i) {
    return cell_of(dtype, start + step * static_cast<double>(i));
  });
}

Status lower_shape(const mil::Op& op, Lowering& lowering) {
  return emit_cells(op, lowering, [shape = op.operand("x")->type.shape](const Frame&, int64_t i) {
    return static_cast<uint32_t>(shape[static_cast<size_t>(i)]);
  });
}

// A new axis of which the element that an index names is on. Indices outside of it name none.
Status lower_one_hot(const mil::Op& op, Lowering& lowering) {
  const Shape& shape = op.result()->type.shape;
  const DType dtype = op.result()->type.dtype;
  const auto axis = static_cast<size_t>(TRY(
      mil::resolve_axis(TRY(mil::int_param(op, "axis", -1)), static_cast<int64_t>(shape.size()))));
  const uint32_t on = cell_of(dtype, TRY(mil::number_param(op, "on_value", 1)));
  const uint32_t off = cell_of(dtype, TRY(mil::number_param(op, "off_value", 0)));
  int64_t inner = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const Place indices = TRY(lowering.cells(*op.operand("indices")));
  return emit_cells(op, lowering, [=, size = shape[axis]](const Frame& frame, int64_t i) {
    const int64_t at = i / inner % size;
    return frame.ints(indices)[i / inner / size * inner + i % inner] == at ? on : off;
  });
}

}  // namespace diptych::engine
