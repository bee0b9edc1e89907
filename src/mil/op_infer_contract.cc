// Type inference of the operations with a sum inside, and of the weights they sum over.
#include <algorithm>
#include <numeric>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

bool is_quantized(DType dtype) {
  return dtype == DType::Int4 || dtype == DType::UInt4 || dtype == DType::Int8 ||
         dtype == DType::UInt8;
}
bool is_shiftable(DType dtype) { return is_quantized(dtype) || is_compute_float(dtype); }
bool is_index(DType dtype) {
  return dtype == DType::UInt1 || dtype == DType::UInt2 || dtype == DType::UInt3 ||
         dtype == DType::UInt4 || dtype == DType::UInt6 || dtype == DType::UInt8;
}
bool is_table_entry(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::UInt8 || is_compute_float(dtype);
}

}  // namespace

Result<Types> infer_constexpr_blockwise_shift_scale(const Op& op) {
  const TensorType data = TRY(typed_operand(op, "data", is_shiftable));
  const TensorType scale = TRY(typed_operand(op, "scale", is_compute_float));
  if (data.rank() < 1 || data.rank() != scale.rank()) {
    return invalid_data("data is {} and scale is {}: expected the same rank, at least 1",
                        to_string(data), to_string(scale));
  }
  for (size_t i = 0; i < data.shape.size(); ++i) {
    if (data.shape[i] % scale.shape[i] != 0) {
      return invalid_data("data is {} and scale is {}: axis {} is not a whole number of blocks",
                          to_string(data), to_string(scale), i);
    }
  }
  if (op.operand("offset") != nullptr) {
    const TensorType offset = TRY(typed_operand(op, "offset", is_shiftable));
    if (offset.shape != scale.shape) {
      return invalid_data("offset is {} and scale is {}: expected the same shape",
                          to_string(offset), to_string(scale));
    }
    if (!is_float(offset.dtype)) TRY(expect_same_dtype("offset", offset, "data", data));
  }
  return Types{TensorType{scale.dtype, data.shape}};
}

Result<Types> infer_constexpr_lut_to_dense(const Op& op) {
  const TensorType indices = TRY(typed_operand(op, "indices", is_index));
  const TensorType lut = TRY(typed_operand(op, "lut", is_table_entry));
  const size_t rank = indices.shape.size();
  if (rank < 1 || lut.shape.size() != rank + 2) {
    return invalid_data("indices is {} and lut is {}: expected two axes more, and one at least",
                        to_string(indices), to_string(lut));
  }
  const int64_t entries = int64_t{1} << bit_width(indices.dtype);
  if (lut.shape[rank] != entries) {
    return invalid_data("indices is {} and lut is {}: expected tables of {} entries",
                        to_string(indices), to_string(lut), entries);
  }
  if (lut.shape[rank + 1] != 1) {
    return unsupported("lut is {}: entries that are vectors of {}, expected single numbers",
                       to_string(lut), lut.shape[rank + 1]);
  }
  for (size_t i = 0; i < rank; ++i) {
    if (indices.shape[i] % lut.shape[i] != 0) {
      return invalid_data("indices is {} and lut is {}: axis {} is not a whole number of blocks",
                          to_string(indices), to_string(lut), i);
    }
  }
  if (op.operand("vector_axis") != nullptr) {  // of no meaning for single numbers
    TRY(resolve_axis(TRY(int_param(op, "vector_axis", 0)), indices.rank()));
  }
  return Types{TensorType{lut.dtype, indices.shape}};
}

Result<Types> infer_linear(const Op& op) {
  const TensorType x = TRY(typed_operand(op, "x", is_compute_float));
  const TensorType weight = TRY(typed_operand(op, "weight", is_compute_float));
  TRY(expect_same_dtype("x", x, "weight", weight));
  if (weight.rank() != 2 || x.rank() < 1 || x.shape.back() != weight.shape[1]) {
    return invalid_data("x is {} and weight is {}: expected [..., in] and [out, in]", to_string(x),
                        to_string(weight));
  }
  if (op.operand("bias") != nullptr) {
    const TensorType bias = TRY(typed_operand(op, "bias", is_compute_float));
    const TensorType expected{x.dtype, {weight.shape[0]}};
    if (bias != expected) {
      return invalid_data("parameter 'bias': expected {}, found {}", to_string(expected),
                          to_string(bias));
    }
  }
  TensorType result = x;
  result.shape.back() = weight.shape[0];
  return Types{std::move(result)};
}

Result<Types> infer_matmul(const Op& op) {
  TensorType x = TRY(typed_operand(op, "x", is_compute_float));
  TensorType y = TRY(typed_operand(op, "y", is_compute_float));
  TRY(expect_same_dtype("x", x, "y", y));
  if (x.rank() < 2 || y.rank() < 2) {
    return invalid_data("x is {} and y is {}: expected rank 2 or more", to_string(x), to_string(y));
  }
  for (auto [param, type] : {std::pair{"transpose_x", &x}, std::pair{"transpose_y", &y}}) {
    if (TRY(bool_param(op, param, false))) std::swap(type->shape.end()[-1], type->shape.end()[-2]);
  }
  if (x.shape.end()[-1] != y.shape.end()[-2]) {
    return invalid_data("after transposition x is {} and y is {}: the inner sizes differ",
                        to_string(x), to_string(y));
  }
  const Shape x_batch(x.shape.begin(), x.shape.end() - 2);
  const Shape y_batch(y.shape.begin(), y.shape.end() - 2);
  Shape result = TRY(broadcast(x_batch, y_batch));
  result.push_back(x.shape.end()[-2]);
  result.push_back(y.shape.end()[-1]);
  return Types{TensorType{x.dtype, std::move(result)}};
}

Result<Types> infer_reduce(const Op& op) {
  const TensorType x = TRY(typed_operand(op, "x", is_number));
  std::vector<int64_t> all(x.shape.size());
  std::iota(all.begin(), all.end(), int64_t{0});
  const auto axes = TRY(within(
      "parameter 'axes'", resolve_axes(TRY(ints_param(op, "axes", std::move(all))), x.rank())));
  const bool keep = TRY(bool_param(op, "keep_dims", false));
  TensorType result{x.dtype, {}};
  for (int64_t i = 0; i < x.rank(); ++i) {
    const bool reduced = std::binary_search(axes.begin(), axes.end(), i);
    if (!reduced) result.shape.push_back(x.shape[static_cast<size_t>(i)]);
    if (reduced && keep) result.shape.push_back(1);
  }
  return Types{std::move(result)};
}

}  // namespace diptych::mil
