// Operations that join, split and reorder tensors as they are. They work on cells of any type.
#include <algorithm>
#include <numeric>

#include "engine/kernels.h"
#include "engine/strided_copy.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

constexpr int64_t kShapeGrain = 1 << 15;  // elements worth a thread of their own

int64_t product(const Shape& shape, size_t first, size_t last) {
  return std::accumulate(shape.begin() + static_cast<int64_t>(first),
                         shape.begin() + static_cast<int64_t>(last), int64_t{1},
                         std::multiplies<>());
}

// Emits the step that lays blocks of the values side by side: for each i < outer, pieces[k]
// elements of values[k] from i * pieces[k] on, for each k in turn.
Status emit_interleave(const mil::Op& op, Lowering& lowering, int64_t outer,
                       std::vector<int64_t> pieces) {
  std::vector<Source> sources;
  for (const mil::Value* value : op.operand_list("values")) {
    sources.push_back(TRY(lowering.source(*value)));
  }
  const Place result = TRY(lowering.result(*op.result()));
  const int64_t row = std::accumulate(pieces.begin(), pieces.end(), int64_t{0});
  lowering.emit(op, [=](const Frame& frame) -> Status {
    frame.pool.parallel_for(outer, std::max<int64_t>(kShapeGrain / row, 1),
                            [&](int64_t begin, int64_t end) {
                              std::byte* out = frame.bytes(result) + begin * row * kCellSize;
                              for (int64_t i = begin; i < end; ++i) {
                                for (size_t k = 0; k < sources.size(); ++k) {
                                  sources[k].read(frame, static_cast<uint64_t>(i * pieces[k]),
                                                  static_cast<uint64_t>(pieces[k]), out);
                                  out += pieces[k] * kCellSize;
                                }
                              }
                            });
    return {};
  });
  return {};
}

}  // namespace

Status lower_reshape(const mil::Op& op, Lowering& lowering) {
  lowering.alias(*op.result(), *op.operand("x"));
  return {};
}

Status lower_graph_break(const mil::Op& op, Lowering& lowering) {
  const auto& values = op.operand_list("values");
  for (size_t i = 0; i < values.size(); ++i) lowering.alias(*op.results[i], *values[i]);
  return {};
}

Status lower_concat(const mil::Op& op, Lowering& lowering) {
  const auto& values = op.operand_list("values");
  if (values.size() == 1) {
    lowering.alias(*op.result(), *values[0]);
    return {};
  }
  const Shape& shape = op.result()->type.shape;
  auto axis = static_cast<size_t>(
      TRY(mil::resolve_axis(TRY(mil::int_param(op, "axis")), static_cast<int64_t>(shape.size()))));
  // Interleaved, the values take turns along the axis: they are laid side by side behind it.
  if (TRY(mil::bool_param(op, "interleave", false))) {
    const int64_t piece = product(shape, axis + 1, shape.size());
    return emit_interleave(op, lowering, product(values[0]->type.shape, 0, axis + 1),
                           std::vector<int64_t>(values.size(), piece));
  }
  std::vector<int64_t> pieces;
  pieces.reserve(values.size());
  for (const mil::Value* value : values) {
    pieces.push_back(product(value->type.shape, axis, shape.size()));
  }
  return emit_interleave(op, lowering, product(shape, 0, axis), std::move(pieces));
}

Status lower_stack(const mil::Op& op, Lowering& lowering) {
  const auto& values = op.operand_list("values");
  const Shape& shape = op.result()->type.shape;
  const auto axis = static_cast<size_t>(
      TRY(mil::resolve_axis(TRY(mil::int_param(op, "axis")), static_cast<int64_t>(shape.size()))));
  const int64_t piece = product(shape, axis + 1, shape.size());
  return emit_interleave(op, lowering, product(shape, 0, axis),
                         std::vector<int64_t>(values.size(), piece));
}

namespace {

// Emits the step that fills the slices of tokens of the result from a view of x.
Status emit_tokens_of_view(const mil::Op& op, Lowering& lowering, const View& view) {
  const size_t axis = *lowering.token_axes().of(*op.result());
  const Shape dense = row_major_strides(view.dims);
  const StepRows tokens{view.dims[axis], true};
  const int64_t from_step = view.strides[axis], to_step = dense[axis];
  Shape slice = view.dims;
  slice[axis] = 1;
  const StridedLoop<2> of_slice(slice, {view.strides, dense});
  const bool fills_padding = lowering.fills_padding(*op.result());
  const Place x = TRY(lowering.cells(*op.operand("x")));
  const Place result = TRY(lowering.result(*op.result()));
  Run run = [=, whole = view.loop()](const Frame& frame) -> Status {
    const int64_t live = frame.live(tokens);
    if (live == tokens.count) {
      copy_view(frame, whole, frame.bytes(x), 0, frame.bytes(result));
      return {};
    }
    // Slices of padding are copies of the first.
    for (int64_t token = 0; token < (fills_padding ? tokens.count : live); ++token) {
      const std::byte* from = frame.bytes(x) + (token < live ? token : 0) * from_step * kCellSize;
      copy_strided(of_slice, from, frame.bytes(result) + token * to_step * kCellSize);
    }
    return {};
  };
  lowering.emit(op, std::move(run), tokens);
  return {};
}

}  // namespace

Status lower_transpose(const mil::Op& op, Lowering& lowering) {
  const Shape& from = op.operand("x")->type.shape;
  const Shape dense = row_major_strides(from);
  Shape strides;
  int64_t last = -1;  // of the axes with more than one element so far
  bool moves = false;
  for (const int64_t given : TRY(mil::ints_param(op, "perm"))) {
    const int64_t axis = TRY(mil::resolve_axis(given, static_cast<int64_t>(from.size())));
    strides.push_back(dense[static_cast<size_t>(axis)]);
    if (from[static_cast<size_t>(axis)] == 1) continue;
    moves = moves || axis < last;
    last = axis;
  }
  if (!moves) {  // only axes of one element: every other stays where it is
    lowering.alias(*op.result(), *op.operand("x"));
    return {};
  }
  const View view{0, op.result()->type.shape, std::move(strides)};
  if (transpose_skips(op, "x", lowering.token_axes()))
    return emit_tokens_of_view(op, lowering, view);
  return emit_view(op, *op.result(), lowering, *op.operand("x"), view);
}

Status lower_split(const mil::Op& op, Lowering& lowering) {
  const Shape& from = op.operand("x")->type.shape;
  const auto axis = static_cast<size_t>(
      TRY(mil::resolve_axis(TRY(mil::int_param(op, "axis")), static_cast<int64_t>(from.size()))));
  const Shape dense = row_major_strides(from);
  int64_t begin = 0;
  for (const mil::Value* result : op.results) {
    TRY(emit_view(op, *result, lowering, *op.operand("x"),
                  {begin * dense[axis], result->type.shape, dense}));
    begin += result->type.shape[axis];
  }
  return {};
}

}  // namespace diptych::engine
