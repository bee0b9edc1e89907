// Operations over stored tables: weights that are unpacked as a whole, and gather, which computes
// only the rows that it is asked for.
#include <numeric>

#include "base/half.h"
#include "engine/indices.h"
#include "engine/kernels.h"
#include "engine/strided.h"
#include "mil/params.h"

namespace diptych::engine {

// Lowered only for weights that linear and gather cannot read by rows (WeightRows). A mask by
// itself has no cells.
Status lower_constexpr(const mil::Op& op, Lowering& lowering) {
  for (const mil::Value* result : op.results) {
    if (has_cells(result->type.dtype)) TRY(lowering.unpack(*result));
  }
  return {};
}

Status lower_gather(const mil::Op& op, Lowering& lowering) {
  const mil::Value& x_value = *op.operand("x");
  const mil::Value& indices_value = *op.operand("indices");
  if (TRY(mil::int_param(op, "batch_dims", 0)) != 0) return lower_gather_batches(op, lowering);
  const Shape& shape = x_value.type.shape;
  const auto axis = static_cast<size_t>(
      TRY(mil::resolve_axis(TRY(mil::int_param(op, "axis", 0)), x_value.type.rank())));
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= shape[i];
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const int64_t limit = shape[axis];
  const bool negative = negative_indices(lowering);
  const auto count = static_cast<int64_t>(TRY(element_count(indices_value.type.shape)));

  const Place indices = TRY(lowering.cells(indices_value));
  const std::optional<WeightRows> rows =
      axis == 0 ? lowering.weight_rows(x_value, count) : std::optional<WeightRows>();
  const Source x = rows ? Source{} : TRY(lowering.source(x_value, axis == 0 ? count : kAllRows));
  const Place result = TRY(lowering.result(*op.result()));
  if (rows) lowering.thread_scratch(rows->scratch_size());
  lowering.emit(op, [=](const Frame& frame) -> Status {
    const int32_t* at = frame.ints(indices);
    for (int64_t i = 0; i < count; ++i) {
      TRY(check_index(at[i], i, limit, negative));
    }
    if (rows) {
      const auto read_rows = [&](int64_t begin, int64_t end, int thread) -> Status {
        uint64_t overflows = 0;
        for (int64_t i = begin; i < end; ++i) {
          float* out = frame.floats(result) + i * inner;
          TRY(rows->read(resolve_index(at[i], limit), out, frame.scratch(thread), &overflows));
        }
        frame.overflows += overflows;
        return {};
      };
      return parallel_status(frame.pool, count, 1, read_rows);
    }
    std::byte* out = frame.bytes(result);
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < count; ++i) {
        x.read(frame, static_cast<uint64_t>((o * limit + resolve_index(at[i], limit)) * inner),
               static_cast<uint64_t>(inner), out);
        out += inner * kCellSize;
      }
    }
    return {};
  });
  return {};
}

}  // namespace diptych::engine
