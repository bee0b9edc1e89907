#include "engine/weight_rows.h"

#include <algorithm>

#include "engine/arena.h"
#include "engine/cells.h"
#include "engine/vector_ops.h"

namespace diptych::engine {
namespace {

bool is_float_cell(DType dtype) { return dtype == DType::F16 || dtype == DType::F32; }
bool is_quantized(DType dtype) {
  return dtype == DType::Int4 || dtype == DType::UInt4 || dtype == DType::Int8 ||
         dtype == DType::UInt8;
}

// n elements from `first` on as floats. All integers of these widths are exact.
void to_floats(const std::byte* data, uint64_t first, DType dtype, size_t n, float* out) {
  static constexpr float kOne = 1;
  const BlockScales plain{&kOne, nullptr, n, false};
  switch (dtype) {
    case DType::Int4:
      dequantize_int4(data, first, n, plain, out);
      break;
    case DType::UInt4:
      dequantize_uint4(data, first, n, plain, out);
      break;
    case DType::Int8:
      dequantize_int8(data, first, n, plain, out);
      break;
    case DType::UInt8:
      dequantize_uint8(data, first, n, plain, out);
      break;
    default:
      widen(dtype, data + first * element_size(dtype), n, reinterpret_cast<std::byte*>(out));
  }
}

}  // namespace

std::optional<WeightRows> WeightRows::open(const mil::Value& value, Numerics numerics) {
  if (value.is_constant()) {
    if (!is_float_cell(value.type.dtype) || value.type.shape.empty()) return std::nullopt;
    return WeightRows(Stored(value.weight));
  }
  if (value.kind != mil::Value::Kind::Result ||
      value.producer->type != "constexpr_blockwise_shift_scale" || value.type.rank() != 2) {
    return std::nullopt;
  }
  const mil::Value* data = value.producer->operand("data");
  const mil::Value* scale = value.producer->operand("scale");
  const mil::Value* offset = value.producer->operand("offset");
  if (!is_quantized(data->type.dtype)) return std::nullopt;
  WeightRows rows{Stored(data->weight)};
  rows.scale_.emplace(scale->weight);
  if (offset != nullptr) rows.offset_.emplace(offset->weight);
  rows.rows_per_scale_ = data->type.shape[0] / scale->type.shape[0];
  rows.round_to_half_ = numerics == Numerics::Typed && value.type.dtype == DType::F16;
  return rows;
}

WeightRows::Scratch WeightRows::layout(std::byte* memory) const {
  Scratch scratch{};
  const auto take = [&](uint64_t bytes) {
    std::byte* part = memory == nullptr ? nullptr : memory + scratch.size;
    scratch.size += align_up(bytes, kArenaAlignment);
    return part;
  };
  const auto buffer_bytes = [](const Stored& stored) {
    return stored.bytes ? 0 : stored.weight->row_bytes();
  };
  scratch.elements = take(buffer_bytes(data_));
  if (!scale_) return scratch;
  const uint64_t floats = scale_->weight->row_elements() * sizeof(float);
  scratch.scales = reinterpret_cast<float*>(take(floats));
  if (offset_) scratch.offsets = reinterpret_cast<float*>(take(floats));
  scratch.parameters = take(std::max(buffer_bytes(*scale_), offset_ ? buffer_bytes(*offset_) : 0));
  return scratch;
}

Result<WeightRows::Elements> WeightRows::fetch(const Stored& stored, int64_t row,
                                               std::byte* buffer) {
  const DType dtype = stored.weight->dtype();
  if (stored.bytes) {
    return Elements{stored.bytes->data(),
                    static_cast<uint64_t>(row) * stored.weight->row_elements(), dtype};
  }
  TRY(stored.weight->read_rows(row, 1, {buffer, stored.weight->row_bytes()}));
  const DType unpacked = dtype == DType::Int4    ? DType::Int8
                         : dtype == DType::UInt4 ? DType::UInt8
                                                 : dtype;
  return Elements{buffer, 0, unpacked};
}

Status WeightRows::fetch_floats(const Stored& stored, int64_t row, std::byte* buffer, float* out) {
  const Elements elements = TRY(fetch(stored, row, buffer));
  to_floats(elements.data, elements.first, elements.dtype, stored.weight->row_elements(), out);
  return {};
}

Status WeightRows::read(int64_t row, float* out, std::byte* memory, uint64_t* overflows) const {
  const Scratch scratch = layout(memory);
  const Elements q = TRY(fetch(data_, row, scratch.elements));
  const size_t n = row_size();
  if (!scale_) {
    to_floats(q.data, q.first, q.dtype, n, out);
    return {};
  }
  const int64_t scale_row = row / rows_per_scale_;
  TRY(fetch_floats(*scale_, scale_row, scratch.parameters, scratch.scales));
  if (offset_) TRY(fetch_floats(*offset_, scale_row, scratch.parameters, scratch.offsets));
  const BlockScales scales{scratch.scales, scratch.offsets, n / scale_->weight->row_elements(),
                           round_to_half_};
  switch (q.dtype) {
    case DType::Int4:
      *overflows += dequantize_int4(q.data, q.first, n, scales, out);
      break;
    case DType::UInt4:
      *overflows += dequantize_uint4(q.data, q.first, n, scales, out);
      break;
    case DType::Int8:
      *overflows += dequantize_int8(q.data, q.first, n, scales, out);
      break;
    default:
      *overflows += dequantize_uint8(q.data, q.first, n, scales, out);
  }
  return {};
}

}  // namespace diptych::engine
