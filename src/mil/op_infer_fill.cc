// Type inference of the operations that make a tensor from parameters.
#include <cmath>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// The element type of an optional constant scalar.
Result<DType> scalar_dtype(const Op& op, std::string_view param, DType fallback) {
  const Value* value = op.operand(param);
  if (value == nullptr) return fallback;
  TRY(number_param(op, param));
  if (!kElements.contains(value->type.dtype)) {
    return invalid_data("parameter '{}': unsuitable type {}", param, to_string(value->type));
  }
  return value->type.dtype;
}

}  // namespace

Result<Types> infer_fill(const Op& op) {
  return Types{TensorType{TRY(scalar_dtype(op, "value", DType::F32)), TRY(ints_param(op, "shape"))}};
}

Result<Types> infer_fill_like(const Op& op) {
  return Types{
      TensorType{TRY(scalar_dtype(op, "value", DType::F32)), type_of(op, "ref_tensor").shape}};
}

Result<Types> infer_one_hot(const Op& op) {
  const TensorType& indices = type_of(op, "indices");
  const DType on = TRY(scalar_dtype(op, "on_value", DType::Int32));
  const DType off = TRY(scalar_dtype(op, "off_value", on));
  if (op.operand("on_value") != nullptr && on != off) {
    return invalid_data("on_value and off_value: expected the same element type");
  }
  const int64_t axis = TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis", -1)),
                                                                   indices.rank() + 1)));
  TensorType result{off, indices.shape};
  result.shape.insert(result.shape.begin() + axis, TRY(int_param(op, "one_hot_vector_size")));
  return Types{std::move(result)};
}

Result<Types> infer_range_1d(const Op& op) {
  const Value *start = op.operand("start"), *end = op.operand("end"), *step = op.operand("step");
  TRY(expect_same_dtype("start", start->type, "end", end->type));
  TRY(expect_same_dtype("start", start->type, "step", step->type));
  if (!kNumbers.contains(start->type.dtype)) {
    return invalid_data("parameter 'start': unsuitable type {}", to_string(start->type));
  }
  const double from = TRY(number_param(op, "start")), to = TRY(number_param(op, "end")),
               by = TRY(number_param(op, "step"));
  const double count = std::ceil((to - from) / by);
  if (!(count >= 1 && count < 0x1p31)) {
    return invalid_data("the range from {} to {} by {} has no elements, or too many", from, to, by);
  }
  return Types{TensorType{start->type.dtype, {static_cast<int64_t>(count)}}};
}

Result<Types> infer_shape(const Op& op) {
  return Types{TensorType{DType::Int32, {type_of(op, "x").rank()}}};
}

}  // namespace diptych::mil
