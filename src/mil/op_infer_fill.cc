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
  return Types{
      TensorType{TRY(scalar_dtype(op, "value", DType::F32)), TRY(ints_param(op, "shape"))}};
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
  const int64_t axis = TRY(
      within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis", -1)), indices.rank() + 1)));
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

// The parameters of the distribution decide the element type.
Result<Types> infer_random(const Op& op) {
  std::optional<DType> dtype;
  for (const Operand& operand : op.operands) {
    if (operand.param == "shape" || operand.param == "seed") continue;
    TRY(float_param(op, operand.param, 0));
    const DType found = operand.values.front()->type.dtype;
    if (!kFloats.contains(found) || found != dtype.value_or(found)) {
      return invalid_data("parameter '{}': unsuitable type {}", operand.param,
                          to_string(operand.values.front()->type));
    }
    dtype = found;
  }
  TRY(int_param(op, "seed", -1));
  return Types{TensorType{dtype.value_or(DType::F32), TRY(ints_param(op, "shape"))}};
}

Result<Types> infer_random_categorical(const Op& op) {
  TensorType result = type_of(op, "x");
  const std::string mode = TRY(string_param(op, "mode", "logits"));
  if (mode != "logits" && mode != "probs") {
    return invalid_data("parameter 'mode': expected logits or probs, found \"{}\"", mode);
  }
  if (result.rank() < 1) return invalid_data("x is {}: expected classes", to_string(result));
  result.shape.back() = TRY(int_param(op, "size", 1));
  TRY(int_param(op, "seed", -1));
  return Types{std::move(result)};
}

Result<Types> infer_shape(const Op& op) {
  return Types{TensorType{DType::Int32, {type_of(op, "x").rank()}}};
}

}  // namespace diptych::mil
