// Type inference of recurrent layers: x [steps, batch, in], weights [gates * h, in] and
// [gates * h, h].
#include <algorithm>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

Status expect_shape(const Op& op, std::string_view param, const Shape& expected) {
  const Value* value = op.operand(param);
  if (value == nullptr || value->type.shape == expected) return {};
  return invalid_data("parameter '{}': expected {}, found {}", param, to_string(expected),
                      to_string(value->type));
}

Status check_activation(const Op& op, std::string_view param, std::string_view fallback) {
  std::string name = TRY(string_param(op, param, std::string(fallback)));
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  for (const std::string_view known :
       {"hard_sigmoid", "linear", "relu", "scaled_tanh", "sigmoid", "sigmoid_hard", "tanh"}) {
    if (name == known) return {};
  }
  return unsupported("parameter '{}': unknown activation \"{}\"", param, name);
}

struct Sizes {
  int64_t steps, batch, in, hidden, directions;
};

// The sizes of a layer whose weights have `gates` gates.
Result<Sizes> layer_sizes(const Op& op, int64_t gates, bool may_be_bidirectional) {
  const TensorType &x = type_of(op, "x"), &weight = type_of(op, "weight_hh");
  if (x.rank() != 3 || weight.rank() != 2) {
    return invalid_data("x is {} and weight_hh is {}: expected [steps, batch, in] and [{} * h, h]",
                        to_string(x), to_string(weight), gates);
  }
  const std::string direction = TRY(string_param(op, "direction", "forward"));
  const bool both = direction == "bidirectional" && may_be_bidirectional;
  if (!both && direction != "forward" && direction != "reverse") {
    return invalid_data("parameter 'direction': unknown direction \"{}\"", direction);
  }
  const Sizes sizes{x.shape[0], x.shape[1], x.shape[2], weight.shape[1], both ? 2 : 1};
  int64_t rows = 0;
  if (__builtin_mul_overflow(gates, sizes.hidden, &rows)) return invalid_data("a size overflows");
  TRY(expect_shape(op, "weight_hh", {rows, sizes.hidden}));
  TRY(expect_shape(op, "weight_ih", {rows, sizes.in}));
  TRY(expect_shape(op, "bias", {rows}));
  TRY(expect_shape(op, "initial_h", {sizes.batch, sizes.directions * sizes.hidden}));
  TRY(check_activation(op, "activation", "tanh"));
  TRY(bool_param(op, "output_sequence", false));
  return sizes;
}

// The hidden states of all steps or the last, and `states` states of the last.
Result<Types> result_types(const Op& op, const Sizes& sizes, size_t states) {
  const bool all = TRY(bool_param(op, "output_sequence", false));
  const DType dtype = type_of(op, "x").dtype;
  const int64_t width = sizes.directions * sizes.hidden;
  Types types{TensorType{dtype, {all ? sizes.steps : 1, sizes.batch, width}}};
  types.resize(1 + states, TensorType{dtype, {sizes.batch, width}});
  return types;
}

}  // namespace

Result<Types> infer_recurrent(const Op& op) {
  const int64_t gates = op.type == "gru" ? 3 : 1;
  const Sizes sizes = TRY(layer_sizes(op, gates, false));
  if (op.type == "gru") {
    TRY(expect_shape(op, "input_bias", {gates * sizes.hidden}));
    TRY(check_activation(op, "recurrent_activation", "sigmoid"));
    TRY(bool_param(op, "reset_after", false));
  }
  return result_types(op, sizes, 1);
}

Result<Types> infer_lstm(const Op& op) {
  const Sizes sizes = TRY(layer_sizes(op, 4, true));
  const int64_t h = sizes.hidden;
  TRY(expect_shape(op, "initial_c", {sizes.batch, sizes.directions * h}));
  TRY(expect_shape(op, "peephole", {3 * h}));
  if (sizes.directions == 2) {
    for (const std::string_view param : {"weight_ih_back", "weight_hh_back"}) {
      if (op.operand(param) == nullptr) return invalid_data("parameter '{}' is missing", param);
    }
    TRY(expect_shape(op, "weight_ih_back", {4 * h, sizes.in}));
    TRY(expect_shape(op, "weight_hh_back", {4 * h, h}));
    TRY(expect_shape(op, "bias_back", {4 * h}));
    TRY(expect_shape(op, "peephole_back", {3 * h}));
  }
  TRY(check_activation(op, "recurrent_activation", "sigmoid"));
  TRY(check_activation(op, "cell_activation", "tanh"));
  TRY(number_param(op, "clip", 0));
  return result_types(op, sizes, 2);
}

}  // namespace diptych::mil
