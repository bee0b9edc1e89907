// Type inference of our own dialect: what fusions for the CPU make of groups of operations. All
// operands are fp16 or fp32, of one element type (mil_ops.md lists them).
#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// The types of the operands `params`, which must have the dtype of the first.
Result<Types> same_typed(const Op& op, std::initializer_list<std::string_view> params) {
  Types types;
  for (const std::string_view param : params) {
    types.push_back(TRY(typed_operand(op, param, kFloats)));
    TRY(expect_same_dtype(*params.begin(), types.front(), param, types.back()));
  }
  return types;
}

}  // namespace

// x [..., in], weights [out_i, in]: the results are [..., sum of out_i], each over its count of
// weights. A residual has the type of the only result.
Result<Types> infer_cpu_linear(const Op& op) {
  const TensorType x = TRY(typed_operand(op, "x", kFloats));
  const auto& weights = op.operand_list("weights");
  const auto& biases = op.operand_list("biases");
  if (!biases.empty() && biases.size() != weights.size()) {
    return invalid_data("{} weights and {} biases", weights.size(), biases.size());
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    const TensorType& weight = weights[i]->type;
    if (weight.rank() != 2 || x.rank() < 1 || x.shape.back() != weight.shape[1] ||
        weight.dtype != x.dtype) {
      return invalid_data("x is {} and a weight is {}: expected [..., in] and [out, in]",
                          to_string(x), to_string(weight));
    }
    const TensorType expected{x.dtype, {weight.shape[0]}};
    if (!biases.empty() && biases[i]->type != expected) {
      return invalid_data("a bias is {}, expected {}", to_string(biases[i]->type),
                          to_string(expected));
    }
  }
  Types results;
  size_t at = 0;
  for (const int64_t count : TRY(linear_counts(op))) {
    TensorType& result = results.emplace_back(x);
    result.shape.back() = 0;
    for (const size_t end = at + static_cast<size_t>(count); at < end; ++at) {
      result.shape.back() += weights[at]->type.shape[0];
    }
  }
  if (const Value* residual = op.operand("residual")) {
    if (results.size() != 1 || residual->type != results.front()) {
      return invalid_data("the residual is {}: expected that of the only result, of {} ({})",
                          to_string(residual->type), results.size(), to_string(results.front()));
    }
  }
  return results;
}

Result<Types> infer_cpu_rms_norm(const Op& op) {
  const TensorType x = TRY(typed_operand(op, "x", kFloats));
  if (op.operand("weight") != nullptr) {
    const Types types = TRY(same_typed(op, {"x", "weight"}));
    if (x.rank() < 1 || types[1].shape != Shape{x.shape.back()}) {
      return invalid_data("x is {} and weight is {}: expected [..., n] and [n]", to_string(x),
                          to_string(types[1]));
    }
  }
  TRY(float_param(op, "epsilon", 0));
  TRY(bool_param(op, "relative_epsilon", false));
  return Types{x};
}

// x [..., t, d]; cos and sin [t, d] or, interleaved, [t, d/2].
Result<Types> infer_cpu_rope(const Op& op) {
  const Types types = TRY(same_typed(op, {"x", "cos", "sin"}));
  const TensorType& x = types[0];
  const bool interleaved = TRY(bool_param(op, "interleaved", false));
  if (x.rank() < 2 || x.shape.back() % 2 != 0) {
    return invalid_data("x is {}: expected [..., t, d] with an even d", to_string(x));
  }
  const int64_t width = interleaved ? x.shape.back() / 2 : x.shape.back();
  for (const TensorType& table : {types[1], types[2]}) {
    const auto elements = static_cast<int64_t>(TRY(element_count(table.shape)));
    if (table.rank() < 2 || table.shape.back() != width ||
        table.shape.end()[-2] != x.shape.end()[-2] || elements != width * x.shape.end()[-2]) {
      return invalid_data("x is {} and a table is {}: expected [t, {}]", to_string(x),
                          to_string(table), width);
    }
  }
  return Types{x};
}

// q [..., t, d] of h heads; caches [1, g, c, d] and new keys and values [1, g, n, d]; mask
// [..., t, c + n]. The result is [1, t, h * d].
Result<Types> infer_cpu_attention(const Op& op) {
  const Types types = TRY(same_typed(op, {"q", "k_cache", "k", "v_cache", "v", "mask"}));
  const TensorType& q = types[0];
  const auto four = [](const TensorType& type) { return type.rank() == 4 && type.shape[0] == 1; };
  const Shape &cache = types[1].shape, &fresh = types[2].shape, &mask = types[5].shape;
  bool good = q.rank() >= 3 && four(types[1]) && four(types[2]) && types[3].shape == cache &&
              types[4].shape == fresh && cache[1] == fresh[1] && cache[3] == fresh[3] &&
              q.shape.back() == cache[3] && mask.size() >= 2;
  int64_t heads = 1;
  for (size_t i = 0; good && i + 2 < q.shape.size(); ++i) heads *= q.shape[i];
  if (good) {
    const int64_t rows = q.shape.end()[-2];
    good = heads % cache[1] == 0 && mask.back() == cache[2] + fresh[2] && mask.end()[-2] == rows &&
           static_cast<int64_t>(TRY(element_count(mask))) == rows * mask.back();
  }
  if (!good) {
    return invalid_data("q {}, caches {} and {}, new {} and {}, mask {}: they do not fit together",
                        to_string(q), to_string(types[1]), to_string(types[3]), to_string(types[2]),
                        to_string(types[4]), to_string(types[5]));
  }
  TRY(float_param(op, "scale", 1));
  if (!(TRY(float_param(op, "cap", 1)) > 0))
    return invalid_data("parameter 'cap': expected more than 0");
  return Types{TensorType{q.dtype, {1, q.shape.end()[-2], heads * q.shape.back()}}};
}

Result<Types> infer_cpu_gated(const Op& op) {
  const Types types = TRY(same_typed(op, {"gate", "up"}));
  if (types[0] != types[1]) {
    return invalid_data("gate is {} and up is {}: expected the same", to_string(types[0]),
                        to_string(types[1]));
  }
  return Types{types[0]};
}

}  // namespace diptych::mil
