// Type inference of the operations that keep or broadcast shapes.
#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

Result<TensorType> infer_unary(const Op& op, DTypeTest accepts) {
  return typed_operand(op, "x", accepts);
}

Result<TensorType> infer_binary(const Op& op, DTypeTest accepts) {
  const TensorType x = TRY(typed_operand(op, "x", accepts));
  const TensorType y = TRY(typed_operand(op, "y", accepts));
  TRY(expect_same_dtype("x", x, "y", y));
  return TensorType{x.dtype, TRY(broadcast(x.shape, y.shape))};
}

bool is_bool(DType dtype) { return dtype == DType::Bool; }

}  // namespace

Result<Types> infer_float_unary(const Op& op) {
  return Types{TRY(infer_unary(op, is_compute_float))};
}

Result<Types> infer_gelu(const Op& op) {
  TRY(gelu_mode(op));
  return infer_float_unary(op);
}

Result<Types> infer_number_unary(const Op& op) { return Types{TRY(infer_unary(op, is_number))}; }

Result<Types> infer_rsqrt(const Op& op) {
  // epsilon may be fp32 beside an fp16 x: upstream's exporter writes it so.
  TRY(float_param(op, "epsilon", 0));
  return infer_float_unary(op);
}

Result<Types> infer_float_binary(const Op& op) {
  return Types{TRY(infer_binary(op, is_compute_float))};
}

Result<Types> infer_number_binary(const Op& op) { return Types{TRY(infer_binary(op, is_number))}; }

Result<Types> infer_comparison(const Op& op) {
  TensorType type = TRY(infer_binary(op, is_number));
  type.dtype = DType::Bool;
  return Types{std::move(type)};
}

Result<Types> infer_select(const Op& op) {
  const TensorType cond = TRY(typed_operand(op, "cond", is_bool));
  const TensorType a = TRY(typed_operand(op, "a", is_storable));
  const TensorType b = TRY(typed_operand(op, "b", is_storable));
  TRY(expect_same_dtype("a", a, "b", b));
  const Shape values = TRY(broadcast(a.shape, b.shape));
  return Types{TensorType{a.dtype, TRY(broadcast(cond.shape, values))}};
}

Result<Types> infer_cast(const Op& op) {
  TensorType type = TRY(typed_operand(op, "x", is_storable));
  const std::string wanted = TRY(string_param(op, "dtype"));
  const auto dtype = dtype_from_name(wanted);
  if (!dtype || !is_storable(*dtype)) {
    return invalid_data(
        "parameter 'dtype': expected fp16, fp32, bool or an integer of 8 to 32 bits, found \"{}\"",
        wanted);
  }
  type.dtype = *dtype;
  return Types{std::move(type)};
}

Result<Types> infer_softmax(const Op& op) {
  TensorType x = TRY(typed_operand(op, "x", is_compute_float));
  TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis", -1)), x.rank())));
  return Types{std::move(x)};
}

Result<Types> infer_graph_break(const Op& op) {
  Types types;
  for (const Value* value : op.operand_list("values")) types.push_back(value->type);
  return types;
}

}  // namespace diptych::mil
