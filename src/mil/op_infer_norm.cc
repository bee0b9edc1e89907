// Type inference of normalisations: the result has x's type.
#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// Operands that hold a number for each element of a shape.
Status check_shapes(const Op& op, std::initializer_list<std::string_view> params,
                    const Shape& expected) {
  for (const std::string_view param : params) {
    const Value* value = op.operand(param);
    if (value == nullptr || value->type.shape == expected) continue;
    return invalid_data("parameter '{}': expected {}, found {}", param, to_string(expected),
                        to_string(value->type));
  }
  return {};
}

}  // namespace

Result<Types> infer_batch_norm(const Op& op) {
  const TensorType& x = type_of(op, "x");
  if (x.rank() < 2) return invalid_data("x is {}: expected [n, channels, ...]", to_string(x));
  TRY(check_shapes(op, {"mean", "variance", "gamma", "beta"}, {x.shape[1]}));
  TRY(number_param(op, "epsilon", 0));
  return Types{x};
}

Result<Types> infer_instance_norm(const Op& op) {
  const TensorType& x = type_of(op, "x");
  if (x.rank() < 3) return invalid_data("x is {}: expected [n, channels, ...]", to_string(x));
  TRY(check_shapes(op, {"gamma", "beta"}, {x.shape[1]}));
  TRY(number_param(op, "epsilon", 0));
  return Types{x};
}

Result<Types> infer_layer_norm(const Op& op) {
  const TensorType& x = type_of(op, "x");
  Shape normalised;
  for (const int64_t axis :
       TRY(within("parameter 'axes'", resolve_axes_param(op, "axes", x.rank())))) {
    normalised.push_back(x.shape[static_cast<size_t>(axis)]);
  }
  TRY(check_shapes(op, {"gamma", "beta"}, normalised));
  TRY(number_param(op, "epsilon", 0));
  return Types{x};
}

Result<Types> infer_l2_norm(const Op& op) {
  const TensorType& x = type_of(op, "x");
  if (x.rank() < 3) return invalid_data("x is {}: expected rank 3 or more", to_string(x));
  TRY(number_param(op, "epsilon", 0));
  return Types{x};
}

Result<Types> infer_local_response_norm(const Op& op) {
  const TensorType& x = type_of(op, "x");
  if (x.rank() < 3) return invalid_data("x is {}: expected [n, channels, ...]", to_string(x));
  if (TRY(int_param(op, "size")) < 1) return invalid_data("parameter 'size': expected 1 or more");
  for (const std::string_view param : {"alpha", "beta", "k"}) TRY(number_param(op, param, 0));
  return Types{x};
}

}  // namespace diptych::mil
