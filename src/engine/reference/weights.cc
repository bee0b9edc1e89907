// Operations over stored tables: dequantisation of a whole weight, and gather, which computes only
// the rows that it is asked for.
#include <numeric>

#include "base/half.h"
#include "engine/indices.h"
#include "engine/kernels.h"
#include "engine/strided.h"
#include "mil/params.h"

namespace diptych::engine {
namespace {

// Brings a constant of any element type that inference admits into floats.
Result<std::shared_ptr<const std::vector<float>>> floats(const mil::Value& value) {
  return std::make_shared<const std::vector<float>>(TRY(read_floats(*value.weight)));
}

// Which of the blocks that divide a tensor of `shape` an element is in: element `i` of row `row`.
size_t block_of(const Shape& shape, const Shape& blocks, int64_t row, int64_t i) {
  const Shape strides = row_major_strides(blocks);
  int64_t block = row / (shape[0] / blocks[0]) * strides[0];
  for (size_t axis = shape.size(); axis-- > 1;) {
    block += i % shape[axis] / (shape[axis] / blocks[axis]) * strides[axis];
    i /= shape[axis];
  }
  return static_cast<size_t>(block);
}

}  // namespace

// The reference form: result = scale * (data - offset), a block of data per element of scale. It is
// lowered only for weights that linear and gather cannot read by rows (WeightRows).
Status lower_constexpr_blockwise_shift_scale(const mil::Op& op, Lowering& lowering) {
  const mil::Value& data_value = *op.operand("data");
  const mil::Value* offset_value = op.operand("offset");
  const Shape shape = data_value.type.shape;
  const Shape scale_shape = op.operand("scale")->type.shape;
  const Place result = TRY(lowering.result(*op.result()));
  const WeightRef data = data_value.weight;
  lowering.reads(*op.result());
  const auto scale = TRY(floats(*op.operand("scale")));
  const auto offset = offset_value == nullptr ? nullptr : TRY(floats(*offset_value));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    float* out = frame.floats(result);
    const auto row_size = static_cast<int64_t>(data->row_elements());
    for (int64_t row = 0; row < data->rows(); ++row) {
      const std::vector<float> q = TRY(read_floats(*data, row, 1));
      for (int64_t i = 0; i < row_size; ++i) {
        const size_t b = block_of(shape, scale_shape, row, i);
        const float shifted = q[static_cast<size_t>(i)] - (offset ? (*offset)[b] : 0.0f);
        out[row * row_size + i] = (*scale)[b] * shifted;
      }
    }
    return {};
  });
  return {};
}

// The reference form: an element of the block's table for each index. It is lowered only for
// weights that linear and gather cannot read by rows (WeightRows).
Status lower_constexpr_lut_to_dense(const mil::Op& op, Lowering& lowering) {
  const mil::Value& lut_value = *op.operand("lut");
  if (!is_float(lut_value.type.dtype)) {
    return unsupported("parameter 'lut': %{} is {}, expected fp16 or fp32", lut_value.name,
                       to_string(lut_value.type));
  }
  const WeightRef indices = op.operand("indices")->weight;
  const Shape shape = indices->shape();
  const Shape blocks(lut_value.type.shape.begin(), lut_value.type.shape.end() - 2);
  const auto entries = size_t{1} << bit_width(indices->dtype());
  const Place result = TRY(lowering.result(*op.result()));
  lowering.reads(*op.result());
  const auto tables = TRY(floats(lut_value));
  lowering.emit(op, [=](const Frame& frame) -> Status {
    float* out = frame.floats(result);
    const auto row_size = static_cast<int64_t>(indices->row_elements());
    for (int64_t row = 0; row < indices->rows(); ++row) {
      const std::vector<float> at = TRY(read_floats(*indices, row, 1));
      for (int64_t i = 0; i < row_size; ++i) {
        const auto index = static_cast<size_t>(at[static_cast<size_t>(i)]);
        out[row * row_size + i] = (*tables)[block_of(shape, blocks, row, i) * entries + index];
      }
    }
    return {};
  });
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
