#include "engine/stored_weight.h"

#include <algorithm>

#include "mil/params.h"

namespace diptych::engine {
namespace {

const mil::Op* producer_of(const mil::Value& value, std::string_view type) {
  const bool made = value.kind == mil::Value::Kind::Result && value.producer->type == type;
  return made ? value.producer : nullptr;
}

// The weight of a constant operand; null for any other and where there is none.
WeightRef constant(const mil::Op& op, std::string_view param) {
  const mil::Value* value = op.operand(param);
  return value != nullptr && value->is_constant() ? value->weight : nullptr;
}

bool has_results(const mil::Op& op) {
  return std::any_of(op.operands.begin(), op.operands.end(), [](const mil::Operand& operand) {
    return !operand.values.front()->is_constant();
  });
}

// Offsets in the type of scales, where that holds them exactly.
WeightRef offsets_like(const WeightRef& offset, const WeightRef& scale) {
  if (offset == nullptr || is_float(offset->dtype())) return offset;
  const auto values = read_ints(*offset);
  if (!values) return offset;
  return constant_floats(scale->dtype(), offset->shape(), {values->begin(), values->end()});
}

// A scalar or a list along an axis as a tensor of `shape`, which has `count` elements. Integers, of
// at most 8 bits, become floats of a type.
std::optional<WeightRef> spread(const WeightRef& weight, DType of_integers, const Shape& shape,
                                int64_t count) {
  const auto values = read_floats(*weight);
  if (!values) return std::nullopt;
  std::vector<double> all(values->begin(), values->end());
  if (weight->shape().empty()) all.assign(static_cast<size_t>(count), values->front());
  return constant_floats(is_float(weight->dtype()) ? weight->dtype() : of_integers, shape, all);
}

std::optional<ScaledWeight> affine_weight(const mil::Op& op) {
  const WeightRef data = constant(op, "quantized_data"), scale = constant(op, "scale"),
                  zero_point = constant(op, "zero_point");
  const auto given = mil::int_param(op, "axis");
  if (!given) return std::nullopt;
  const auto axis = mil::resolve_axis(*given, data->type().rank());
  if (!axis) return std::nullopt;
  const bool scalars = scale->shape().empty() && zero_point->shape().empty();
  Shape shape(data->shape().size(), 1);
  const int64_t count = scalars ? 1 : data->shape()[static_cast<size_t>(*axis)];
  shape[static_cast<size_t>(*axis)] = count;
  const auto scales = spread(scale, scale->dtype(), shape, count),
             offsets = spread(zero_point, scale->dtype(), shape, count);
  if (!scales || !offsets) return std::nullopt;
  return ScaledWeight{data, *scales, *offsets, false};
}

// Each of the rows [rows / count, ...] of a tensor `count` times.
std::optional<WeightRef> repeat_rows(const WeightRef& weight, int64_t count) {
  const auto values = read_floats(*weight);
  if (!values) return std::nullopt;
  const auto row = static_cast<std::ptrdiff_t>(weight->row_elements());
  std::vector<double> all;
  for (auto at = values->begin(); at != values->end(); at += row) {
    for (int64_t i = 0; i < count; ++i) all.insert(all.end(), at, at + row);
  }
  Shape shape = weight->shape();
  shape[0] *= count;
  return constant_floats(weight->dtype(), std::move(shape), all);
}

}  // namespace

std::optional<ScaledWeight> scaled_weight(const mil::Value& value) {
  if (const mil::Op* op = producer_of(value, "constexpr_affine_dequantize")) {
    if (has_results(*op)) return std::nullopt;
    return affine_weight(*op);
  }
  const mil::Op* op = producer_of(value, "constexpr_blockwise_shift_scale");
  if (op == nullptr || has_results(*op)) return std::nullopt;
  ScaledWeight weight{constant(*op, "data"), constant(*op, "scale"), constant(*op, "offset")};
  if (weight.offset != nullptr && weight.offset->dtype() != weight.scale->dtype()) {
    weight.offset = offsets_like(weight.offset, weight.scale);
    weight.as_stored = false;
  }
  return weight;
}

std::optional<PaletteWeight> palette_weight(const mil::Value& value) {
  const mil::Op* op = producer_of(value, "constexpr_lut_to_dense");
  if (op == nullptr || has_results(*op)) return std::nullopt;
  WeightRef indices = constant(*op, "indices"), tables = constant(*op, "lut");
  if (!is_float(tables->dtype())) return std::nullopt;
  if (op->operand("shape") == nullptr) {
    if (tables->shape().back() != 1) return std::nullopt;
    return PaletteWeight{std::move(indices), std::move(tables)};
  }
  auto flat = as_type(indices, {index_into(tables->elements()), value.type.shape});
  Shape shape(value.type.shape.size() + 2, 1);
  shape.end()[-2] = static_cast<int64_t>(tables->elements());
  auto one = as_type(tables, {tables->dtype(), std::move(shape)});
  if (!flat || !one) return std::nullopt;
  return PaletteWeight{std::move(*flat), std::move(*one)};
}

DType index_into(uint64_t entries) {
  switch (entries) {
    case 2:
      return DType::UInt1;
    case 4:
      return DType::UInt2;
    case 16:
      return DType::UInt4;
    case 64:
      return DType::UInt6;
    default:
      return DType::UInt8;
  }
}

std::optional<ScaledWeight> with_scales_per_row(ScaledWeight weight) {
  constexpr uint64_t kMost = 1 << 24;  // elements, which are worth unpacking rather than repeating
  const int64_t count = weight.data->rows() / weight.scale->rows();
  if (count == 1) return weight;
  if (weight.scale->elements() > kMost / static_cast<uint64_t>(count)) return std::nullopt;
  for (WeightRef* each : {&weight.scale, &weight.offset}) {
    if (*each == nullptr) continue;
    auto repeated = repeat_rows(*each, count);
    if (!repeated) return std::nullopt;
    *each = std::move(*repeated);
  }
  weight.as_stored = false;
  return weight;
}

Result<WeightRef> as_type(const WeightRef& weight, TensorType type) {
  if (const auto bytes = weight->bytes()) return mapped_weight(std::move(type), *bytes, weight);
  return memory_weight(std::move(type), TRY(read_all(*packed_source(weight))));
}

}  // namespace diptych::engine
