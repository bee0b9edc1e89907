// Type inference of the operations with a sum inside.
#include <algorithm>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// [out] or scalar: a bias or nothing.
Status check_bias(const Op& op, std::string_view param, int64_t size) {
  const Value* bias = op.operand(param);
  if (bias == nullptr || bias->type.shape == Shape{size}) return {};
  return invalid_data("parameter '{}': expected [{}], found {}", param, size,
                      to_string(bias->type));
}

}  // namespace

Result<Types> infer_linear(const Op& op) {
  const TensorType &x = type_of(op, "x"), &weight = type_of(op, "weight");
  if (weight.rank() != 2 || x.rank() < 1 || x.shape.back() != weight.shape[1]) {
    return invalid_data("x is {} and weight is {}: expected [..., in] and [out, in]", to_string(x),
                        to_string(weight));
  }
  TRY(check_bias(op, "bias", weight.shape[0]));
  TensorType result = x;
  result.shape.back() = weight.shape[0];
  return Types{std::move(result)};
}

// A vector x is a matrix of one row, whose row the result does not have.
Result<Types> infer_matmul(const Op& op) {
  TensorType x = type_of(op, "x"), y = type_of(op, "y");
  // A constant takes the type of what it meets.
  const bool x_decides = op.operand("y")->is_constant() || !op.operand("x")->is_constant();
  if (op.operand("x")->is_constant() == op.operand("y")->is_constant()) {
    TRY(expect_same_dtype("x", x, "y", y));
  }
  const bool is_vector = x.rank() == 1;
  if (is_vector) x.shape.insert(x.shape.begin(), 1);
  if (x.rank() < 2 || y.rank() < 2) {
    return invalid_data("x is {} and y is {}: expected rank 2 or more", to_string(type_of(op, "x")),
                        to_string(y));
  }
  for (auto [param, type] : {std::pair{"transpose_x", &x}, std::pair{"transpose_y", &y}}) {
    if (!TRY(bool_param(op, param, false))) continue;
    if (is_vector && type == &x) return invalid_data("transpose_x of the vector {}", to_string(x));
    std::swap(type->shape.end()[-1], type->shape.end()[-2]);
  }
  if (x.shape.end()[-1] != y.shape.end()[-2]) {
    return invalid_data("after transposition x is {} and y is {}: the inner sizes differ",
                        to_string(x), to_string(y));
  }
  const Shape x_batch(x.shape.begin(), x.shape.end() - 2);
  const Shape y_batch(y.shape.begin(), y.shape.end() - 2);
  Shape result = TRY(broadcast(x_batch, y_batch));
  if (!is_vector) result.push_back(x.shape.end()[-2]);
  result.push_back(y.shape.end()[-1]);
  return Types{TensorType{x_decides ? x.dtype : y.dtype, std::move(result)}};
}

// Two products of matrices that stand on the axes -3 and -1: nchw,nwhu->nchu and chw,whu->chu in
// any letters. The other axes broadcast.
Result<Types> infer_einsum(const Op& op) {
  const auto& values = op.operand_list("values");
  const std::string equation = TRY(string_param(op, "equation"));
  std::string letters, pattern;  // the equation in the letters a, b, … by first appearance
  for (const char c : equation) {
    if (c == ' ') continue;
    if (c == ',' || c == '-' || c == '>') {
      pattern += c;
      continue;
    }
    size_t at = letters.find(c);
    if (at == letters.npos) {
      at = letters.size();
      letters += c;
    }
    pattern += static_cast<char>('a' + std::min<size_t>(at, 25));
  }
  const size_t rank = pattern == "abcd,adce->abce" ? 4 : pattern == "abc,cbd->abd" ? 3 : 0;
  if (rank == 0) return unsupported("equation \"{}\"", equation);
  if (values.size() != 2 || values[0]->type.shape.size() != rank ||
      values[1]->type.shape.size() != rank) {
    return invalid_data("equation \"{}\": expected two values of rank {}", equation, rank);
  }
  const Shape &x = values[0]->type.shape, &y = values[1]->type.shape;
  if (x.end()[-1] != y.end()[-3]) {
    return invalid_data("values are {} and {}: the inner sizes differ", to_string(x), to_string(y));
  }
  Shape x_outer = x, y_outer = y;
  x_outer.end()[-1] = x_outer.end()[-3] = y_outer.end()[-1] = y_outer.end()[-3] = 1;
  Shape result = TRY(broadcast(x_outer, y_outer));
  result.end()[-3] = x.end()[-3];
  result.end()[-1] = y.end()[-1];
  return Types{TensorType{values[0]->type.dtype, std::move(result)}};
}

// query [..., l, e], key [..., s, e], value [..., s, v], mask broadcast to [..., l, s].
Result<Types> infer_attention(const Op& op) {
  const TensorType &query = type_of(op, "query"), &key = type_of(op, "key"),
                   &value = type_of(op, "value");
  const auto batch = [](const TensorType& type) {
    return Shape(type.shape.begin(), type.shape.end() - 2);
  };
  if (query.rank() < 3 || key.rank() != query.rank() || value.rank() != query.rank() ||
      batch(key) != batch(query) || batch(value) != batch(query) ||
      key.shape.back() != query.shape.back() || key.shape.end()[-2] != value.shape.end()[-2]) {
    return invalid_data(
        "query is {}, key is {} and value is {}: expected [..., l, e], [..., s, e] and "
        "[..., s, v] of rank 3 or more",
        to_string(query), to_string(key), to_string(value));
  }
  Shape scores = query.shape;
  scores.back() = key.shape.end()[-2];
  if (const Value* mask = op.operand("attn_mask")) {
    const auto all = broadcast(scores, mask->type.shape);
    if (!all || *all != scores) {
      return invalid_data("attn_mask is {}: it does not broadcast to {}", to_string(mask->type),
                          to_string(scores));
    }
  }
  TensorType result = query;
  result.shape.back() = value.shape.back();
  return Types{std::move(result)};
}

}  // namespace diptych::mil
