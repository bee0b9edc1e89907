// Type inference of the operations that keep or broadcast shapes.
#include <algorithm>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {

Result<Types> infer_unary(const Op& op) {
  // epsilon may be fp32 beside an fp16 x: upstream's exporter writes it so.
  const TensorType& x = type_of(op, "x");
  for (const Operand& operand : op.operands) {
    if (operand.param == "x") continue;
    if (is_float(x.dtype)) {
      TRY(float_param(op, operand.param, 0));
    } else {
      TRY(int_param(op, operand.param));
    }
  }
  return Types{x};
}

Result<Types> infer_gelu(const Op& op) {
  TRY(gelu_mode(op));
  return Types{type_of(op, "x")};
}

Result<Types> infer_channels(const Op& op) {
  const TensorType& x = type_of(op, "x");
  if (x.rank() < 2) return invalid_data("x is {}: expected [n, channels, ...]", to_string(x));
  for (const Operand& operand : op.operands) {
    if (operand.param == "x") continue;
    const TensorType& type = operand.values.front()->type;
    if (!kFloats.contains(type.dtype) || type.shape != Shape{x.shape[1]}) {
      return invalid_data("x is {} and {} is {}: expected a float for each of {} channels",
                          to_string(x), operand.param, to_string(type), x.shape[1]);
    }
  }
  return Types{x};
}

Result<Types> infer_binary(const Op& op) {
  const TensorType &x = type_of(op, "x"), &y = type_of(op, "y");
  return Types{TensorType{x.dtype, TRY(broadcast(x.shape, y.shape))}};
}

Result<Types> infer_comparison(const Op& op) {
  Types types = TRY(infer_binary(op));
  types.front().dtype = DType::Bool;
  return types;
}

Result<Types> infer_select(const Op& op) {
  const TensorType &a = type_of(op, "a"), &b = type_of(op, "b");
  const Shape values = TRY(broadcast(a.shape, b.shape));
  return Types{TensorType{a.dtype, TRY(broadcast(type_of(op, "cond").shape, values))}};
}

Result<Types> infer_cast(const Op& op) {
  TensorType type = type_of(op, "x");
  const std::string wanted = TRY(string_param(op, "dtype"));
  const auto dtype = dtype_from_name(wanted);
  if (!dtype || !kElements.contains(*dtype)) {
    return invalid_data(
        "parameter 'dtype': expected fp16, fp32, bool or an integer of 8 to 32 bits, found \"{}\"",
        wanted);
  }
  type.dtype = *dtype;
  return Types{std::move(type)};
}

Result<Types> infer_softmax(const Op& op) {
  const TensorType& x = type_of(op, "x");
  TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis", -1)), x.rank())));
  return Types{x};
}

Result<Types> infer_graph_break(const Op& op) {
  Types types;
  for (const Value* value : op.operand_list("values")) types.push_back(value->type);
  return types;
}

}  // namespace diptych::mil
