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
  if (value.kind != mil::Value::Kind::Result || value.type.rank() != 2) return std::nullopt;
  if (const auto scaled = scaled_weight(value)) return open_scaled(*scaled, numerics);
  if (const auto palette = palette_weight(value)) return open_palette(*palette);
  return std::nullopt;
}

WeightRows WeightRows::open_palette(const PaletteWeight& palette) {
  WeightRows rows{Stored(palette.indices)};
  rows.scale_.emplace(palette.tables);
  rows.rows_per_scale_ = palette.indices->rows() / palette.tables->rows();
  rows.table_bits_ = bit_width(palette.indices->dtype());
  return rows;
}

std::optional<WeightRows> WeightRows::open_scaled(const ScaledWeight& scaled, Numerics numerics) {
  if (!is_quantized(scaled.data->dtype())) return std::nullopt;
  WeightRows rows{Stored(scaled.data)};
  rows.scale_.emplace(scaled.scale);
  if (scaled.offset != nullptr) rows.offset_.emplace(scaled.offset);
  rows.rows_per_scale_ = scaled.data->rows() / scaled.scale->rows();
  rows.round_to_half_ = numerics == Numerics::Typed && scaled.scale->dtype() == DType::F16;
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
  const DType unpacked = dtype == DType::Int4 ? DType::Int8
                         : is_sub_byte(dtype) ? DType::UInt8
                                              : dtype;
  return Elements{buffer, 0, unpacked};
}

Status WeightRows::fetch_floats(const Stored& stored, int64_t row, std::byte* buffer, float* out) {
  const Elements elements = TRY(fetch(stored, row, buffer));
  to_floats(elements.data, elements.first, elements.dtype, stored.weight->row_elements(), out);
  return {};
}

// Indices are a stream of bits, the lowest first; the row is divided evenly between its tables.
void WeightRows::look_up(const Elements& indices, const float* tables, float* out) const {
  const auto bits = static_cast<uint64_t>(bit_width(indices.dtype));
  const auto entries = size_t{1} << table_bits_;
  const size_t n = row_size(), columns = n / (scale_->weight->row_elements() / entries);
  for (size_t i = 0; i < n; ++i) {
    const uint64_t bit = (indices.first + i) * bits;
    const std::byte* const at = indices.data + bit / 8;
    auto window = static_cast<uint32_t>(at[0]);
    if (bit % 8 + bits > 8) window |= static_cast<uint32_t>(at[1]) << 8;
    const size_t index = window >> bit % 8 & (entries - 1);
    out[i] = tables[i / columns * entries + index];
  }
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
  if (table_bits_ != 0) {
    look_up(q, scratch.scales, out);
    return {};
  }
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
