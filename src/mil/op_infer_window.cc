// Type inference of convolutions and pools.
#include "mil/op_infer.h"
#include "mil/window.h"

namespace diptych::mil {
namespace {

// [n, channels, places...] for x [n, ...].
Types result_type(const TensorType& x, int64_t channels, const std::vector<WindowAxis>& axes,
                  int64_t WindowAxis::*size) {
  TensorType result{x.dtype, {x.shape[0], channels}};
  for (const WindowAxis& axis : axes) result.shape.push_back(axis.*size);
  return Types{std::move(result)};
}

// How many groups the channels of x are divided into; `per_group` is the weight's number of them.
Result<int64_t> resolve_groups(const Op& op, int64_t channels) {
  const int64_t groups = TRY(int_param(op, "groups", 1));
  if (groups < 1 || channels % groups != 0) {
    return invalid_data("parameter 'groups': {} does not divide {} channels", groups, channels);
  }
  return groups;
}

Status check_bias(const Op& op, int64_t channels) {
  const Value* bias = op.operand("bias");
  if (bias == nullptr || bias->type.shape == Shape{channels}) return {};
  return invalid_data("parameter 'bias': expected [{}], found {}", channels, to_string(bias->type));
}

}  // namespace

Result<Types> infer_conv(const Op& op) {
  const auto axes = TRY(resolve_conv(op));
  const TensorType &x = type_of(op, "x"), &weight = type_of(op, "weight");
  const int64_t channels = x.shape[1], out = weight.shape[0];
  const int64_t groups = TRY(resolve_groups(op, channels));
  if (weight.shape[1] != channels / groups || out % groups != 0) {
    return invalid_data(
        "x is {} and weight is {}: expected [out, in / {}, ...] and out a multiple "
        "of the groups",
        to_string(x), to_string(weight), groups);
  }
  TRY(check_bias(op, out));
  return result_type(x, out, axes, &WindowAxis::out);
}

// The weight is quant_scale * weight + quant_bias, both for all elements or for each channel of the
// result.
Result<Types> infer_conv_quantized(const Op& op) {
  Types types = TRY(infer_conv(op));
  const std::string form = TRY(string_param(op, "quantization_type"));
  if (form == "lut") return unsupported("quantization_type \"lut\": there is no table");
  if (form != "linear") {
    return invalid_data("quantization_type \"{}\": expected \"linear\" or \"lut\"", form);
  }
  const int64_t bits = TRY(int_param(op, "nbits", 8));
  if (bits < 1 || bits > 8) return invalid_data("parameter 'nbits': {}, expected 1 to 8", bits);
  const int64_t out = type_of(op, "weight").shape[0];
  for (const std::string_view param : {"quant_scale", "quant_bias"}) {
    const TensorType& type = type_of(op, param);
    const auto count = static_cast<int64_t>(TRY(element_count(type.shape)));
    if (count != 1 && count != out) {
      return invalid_data("parameter '{}': expected one element or {}, found {}", param, out,
                          to_string(type));
    }
  }
  return types;
}

Result<Types> infer_conv_transpose(const Op& op) {
  const auto axes = TRY(resolve_conv_transpose(op));
  const TensorType &x = type_of(op, "x"), &weight = type_of(op, "weight");
  const int64_t groups = TRY(resolve_groups(op, x.shape[1]));
  int64_t out = 0;
  if (weight.shape[0] != x.shape[1] || __builtin_mul_overflow(weight.shape[1], groups, &out)) {
    return invalid_data("x is {} and weight is {}: expected [in, out / {}, ...]", to_string(x),
                        to_string(weight), groups);
  }
  TRY(check_bias(op, out));
  Types types = result_type(x, out, axes, &WindowAxis::in);
  const auto given = TRY(ints_param(op, "output_shape", types.front().shape));
  if (given != types.front().shape) {
    return invalid_data("parameter 'output_shape': {} does not begin with [{},{}]",
                        to_string(given), x.shape[0], out);
  }
  return types;
}

Result<Types> infer_pool(const Op& op) {
  TRY(bool_param(op, "exclude_padding_from_average", false));
  const TensorType& x = type_of(op, "x");
  const auto axes = TRY(resolve_pool(op));
  return result_type(x, x.shape[1], axes, &WindowAxis::out);
}

}  // namespace diptych::mil
