// Type inference of the operations that describe weights. Those of iOS 16 take flat bytes with the
// shape beside them, those of iOS 18 tensors of sub-byte types, which may be results of others.
#include <algorithm>
#include <bit>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// An error unless `data` is divided into a whole block for each element of `blocks`.
Status check_blocks(std::string_view data_name, const Shape& data, std::string_view blocks_name,
                    const Shape& blocks) {
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] % blocks[i] == 0) continue;
    return invalid_data("{} is {} and {} is {}: axis {} is not a whole number of blocks", data_name,
                        to_string(data), blocks_name, to_string(blocks), i);
  }
  return {};
}

// The scales and offsets of data of a shape; returns the type of what they give.
Result<DType> infer_scales(const Op& op, const Shape& data, DType codes) {
  const TensorType& scale = type_of(op, "scale");
  if (data.empty() || data.size() != scale.shape.size()) {
    return invalid_data("data is {} and scale is {}: expected the same rank, at least 1",
                        to_string(data), to_string(scale));
  }
  TRY(check_blocks("data", data, "scale", scale.shape));
  if (const Value* value = op.operand("offset")) {
    const TensorType& offset = value->type;
    if (offset.shape != scale.shape) {
      return invalid_data("offset is {} and scale is {}: expected the same shape",
                          to_string(offset), to_string(scale));
    }
    if (!is_float(offset.dtype) && offset.dtype != codes) {
      return invalid_data("offset is {} and data {}: expected the same element type",
                          to_string(offset), name(codes));
    }
  }
  return scale.dtype;
}

// How tables [blocks..., entries, size] are looked up by indices of a shape: the axis that entries
// of more than one element lie along.
struct TableShape {
  int64_t vector_size = 1;
  size_t vector_axis = 0;

  Shape expanded(Shape shape) const {
    shape[vector_axis] *= vector_size;
    return shape;
  }
};

Result<TableShape> infer_tables(const Op& op, const Shape& indices, DType index) {
  const TensorType& lut = type_of(op, "lut");
  const size_t rank = indices.size();
  if (rank < 1 || lut.shape.size() != rank + 2) {
    return invalid_data("indices are {} and lut is {}: expected two axes more, and one at least",
                        to_string(indices), to_string(lut));
  }
  const int64_t entries = int64_t{1} << bit_width(index);
  if (lut.shape[rank] != entries) {
    return invalid_data("indices are {} and lut is {}: expected tables of {} entries", name(index),
                        to_string(lut), entries);
  }
  TRY(check_blocks("indices", indices, "lut", Shape(lut.shape.begin(), lut.shape.end() - 2)));
  TableShape tables{lut.shape[rank + 1], 0};
  if (op.operand("vector_axis") != nullptr) {
    tables.vector_axis = static_cast<size_t>(
        TRY(within("parameter 'vector_axis'",
                   resolve_axis(TRY(int_param(op, "vector_axis")), static_cast<int64_t>(rank)))));
  } else if (tables.vector_size > 1) {
    return invalid_data("lut is {}: parameter 'vector_axis' is missing", to_string(lut));
  }
  int64_t expanded = 0;
  if (__builtin_mul_overflow(indices[tables.vector_axis], tables.vector_size, &expanded)) {
    return invalid_data("lut is {}: the result is too large", to_string(lut));
  }
  return tables;
}

// The elements that a mask shows.
Result<int64_t> infer_nonzero(const Op& op, std::string_view param, const TensorType& mask) {
  const TensorType& data = type_of(op, param);
  if (mask.rank() < 1 || data.rank() != 1) {
    return invalid_data("the mask is {} and {} is {}: expected at least one axis, and one",
                        to_string(mask), param, to_string(data));
  }
  if (static_cast<uint64_t>(data.shape[0]) > TRY(element_count(mask.shape))) {
    return invalid_data("the mask is {} and {} is {}: more elements than the mask has",
                        to_string(mask), param, to_string(data));
  }
  return data.shape[0];
}

// The shape that lies beside flat bytes, of `bits` an element.
Result<Shape> infer_flat(const Op& op, std::string_view param, int bits) {
  Shape shape = TRY(ints_param(op, "shape"));
  const TensorType& bytes = type_of(op, param);
  for (const int64_t dim : shape) {
    if (dim < 1) return invalid_data("parameter 'shape': {}", to_string(shape));
  }
  const uint64_t count = TRY(element_count(shape));
  uint64_t size = 0;
  if (shape.empty() || !checked_mul(count, static_cast<uint64_t>(bits), &size) ||
      bytes.rank() != 1 || static_cast<uint64_t>(bytes.shape[0]) != size / 8 + (size % 8 != 0)) {
    return invalid_data("{} is {}: expected the bytes of {} elements of {} bits", param,
                        to_string(bytes), count, bits);
  }
  return shape;
}

// A scalar, or an element for each slice of an axis of size n.
Status check_per_slice(const Op& op, std::string_view param, int64_t n) {
  const TensorType& type = type_of(op, param);
  if (type.shape.empty() || type.shape == Shape{n}) return {};
  return invalid_data("parameter '{}' is {}: expected a scalar or [{}]", param, to_string(type), n);
}

}  // namespace

Result<Types> infer_constexpr_blockwise_shift_scale(const Op& op) {
  const TensorType& data = type_of(op, "data");
  return Types{TensorType{TRY(infer_scales(op, data.shape, data.dtype)), data.shape}};
}

Result<Types> infer_constexpr_lut_to_dense(const Op& op) {
  const TensorType& indices = type_of(op, "indices");
  const TableShape tables = TRY(infer_tables(op, indices.shape, indices.dtype));
  return Types{TensorType{type_of(op, "lut").dtype, tables.expanded(indices.shape)}};
}

Result<Types> infer_constexpr_sparse_to_dense(const Op& op) {
  const TensorType& mask = type_of(op, "mask");
  TRY(infer_nonzero(op, "nonzero_data", mask));
  return Types{TensorType{type_of(op, "nonzero_data").dtype, mask.shape}};
}

Result<Types> infer_constexpr_lut_to_sparse(const Op& op) {
  const TensorType& mask = type_of(op, "indices_mask");
  const int64_t count = TRY(infer_nonzero(op, "indices_nonzero_data", mask));
  const TableShape tables =
      TRY(infer_tables(op, mask.shape, type_of(op, "indices_nonzero_data").dtype));
  // At most the elements of the expanded mask, whose number is checked with the results.
  return Types{TensorType{mask.dtype, tables.expanded(mask.shape)},
               TensorType{type_of(op, "lut").dtype, {count * tables.vector_size}}};
}

Result<Types> infer_constexpr_sparse_blockwise_shift_scale(const Op& op) {
  const TensorType& mask = type_of(op, "data_mask");
  const int64_t count = TRY(infer_nonzero(op, "nonzero_data", mask));
  const DType dtype = TRY(infer_scales(op, mask.shape, type_of(op, "nonzero_data").dtype));
  return Types{mask, TensorType{dtype, {count}}};
}

Result<Types> infer_constexpr_cast(const Op& op) {
  const std::string wanted = TRY(string_param(op, "output_dtype"));
  if (wanted != "fp32") {
    return invalid_data("parameter 'output_dtype': expected fp32, found \"{}\"", wanted);
  }
  return Types{TensorType{DType::F32, type_of(op, "source_val").shape}};
}

Result<Types> infer_constexpr_affine_dequantize(const Op& op) {
  const TensorType& data = type_of(op, "quantized_data");
  const auto axis = static_cast<size_t>(
      TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis")), data.rank()))));
  for (const std::string_view param : {"scale", "zero_point"}) {
    TRY(check_per_slice(op, param, data.shape[axis]));
  }
  return Types{TensorType{type_of(op, "scale").dtype, data.shape}};
}

Result<Types> infer_flat_lut_to_dense(const Op& op) {
  const TensorType& lut = type_of(op, "lut");
  const auto entries = static_cast<uint64_t>(lut.rank() == 1 ? lut.shape[0] : 0);
  if (entries != 2 && entries != 4 && entries != 16 && entries != 64 && entries != 256) {
    return invalid_data("lut is {}: expected a list of 2, 4, 16, 64 or 256", to_string(lut));
  }
  return Types{TensorType{lut.dtype, TRY(infer_flat(op, "indices", std::countr_zero(entries)))}};
}

Result<Types> infer_flat_sparse_to_dense(const Op& op) {
  TensorType dense{type_of(op, "nonzero_data").dtype, TRY(infer_flat(op, "mask", 1))};
  TRY(infer_nonzero(op, "nonzero_data", dense));
  return Types{std::move(dense)};
}

// quantize and dequantize: a scale and a zero point, for all or for each slice of an axis.
namespace {

Status check_quantization(const Op& op) {
  const TensorType& input = type_of(op, "input");
  const Value* zero_point = op.operand("zero_point");
  if (type_of(op, "scale").rank() == 0) {
    if (zero_point == nullptr || zero_point->type.rank() == 0) return {};
    return invalid_data("zero_point is {} and scale a scalar: expected the same shape",
                        to_string(zero_point->type));
  }
  if (op.operand("axis") == nullptr) {
    return invalid_data("scale is {}: parameter 'axis' is missing",
                        to_string(type_of(op, "scale")));
  }
  const auto axis = static_cast<size_t>(
      TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis")), input.rank()))));
  TRY(check_per_slice(op, "scale", input.shape[axis]));
  if (zero_point != nullptr) TRY(check_per_slice(op, "zero_point", input.shape[axis]));
  return {};
}

}  // namespace

Result<Types> infer_quantize(const Op& op) {
  TRY(check_quantization(op));
  const std::string wanted = TRY(string_param(op, "output_dtype"));
  if (wanted != "int8" && wanted != "uint8") {
    return invalid_data("parameter 'output_dtype': expected int8 or uint8, found \"{}\"", wanted);
  }
  TensorType result{wanted == "int8" ? DType::Int8 : DType::UInt8, type_of(op, "input").shape};
  if (const Value* zero_point = op.operand("zero_point")) {
    TRY(expect_same_dtype("zero_point", zero_point->type, "the result", result));
  }
  return Types{std::move(result)};
}

Result<Types> infer_dequantize(const Op& op) {
  TRY(check_quantization(op));
  const TensorType& input = type_of(op, "input");
  if (const Value* zero_point = op.operand("zero_point")) {
    TRY(expect_same_dtype("zero_point", zero_point->type, "input", input));
  }
  return Types{TensorType{type_of(op, "scale").dtype, input.shape}};
}

}  // namespace diptych::mil
