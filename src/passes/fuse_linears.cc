#include <algorithm>

#include "passes/fuse.h"
#include "passes/match.h"

namespace diptych::passes {

namespace {

Result<bool> is_zero(const mil::Value& value) {
  if (!value.is_constant()) return false;
  const std::vector<float> elements = TRY(read_floats(*value.weight));
  return std::all_of(elements.begin(), elements.end(), [](float e) { return e == 0; });
}

// Makes `op` the linear of all `linears`, which have the same x.
Status make_linear(mil::Op& op, const std::vector<mil::Op*>& linears) {
  mil::Operand weights{"weights", {}}, biases{"biases", {}};
  bool biased = false;
  for (const mil::Op* linear : linears) {
    weights.values.push_back(linear->operand("weight"));
    mil::Value* bias = linear->operand("bias");
    if (bias == nullptr) continue;
    biases.values.push_back(bias);
    biased = biased || !TRY(is_zero(*bias));
  }
  mil::Operand x{"x", {linears.front()->operand("x")}};
  if (biased && biases.values.size() != linears.size()) return {};  // a bias for some: left alone
  rewrite(op, "cpu.linear", {std::move(x), std::move(weights)});
  if (biased) op.operands.push_back(std::move(biases));
  return {};
}

}  // namespace

Status fuse_linears(mil::Function& function) {
  for (const auto& op : function.ops) {
    if (op->type != "concat" || !along_last_axis(*op, "axis", *op->result())) continue;
    if (TRY(mil::bool_param(*op, "interleave", false))) continue;
    std::vector<mil::Op*> linears;
    for (const mil::Value* value : op->operand_list("values")) {
      mil::Op* linear = made_by(value, "linear");
      if (linear == nullptr) break;
      if (!linears.empty() && linear->operand("x") != linears.front()->operand("x")) break;
      linears.push_back(linear);
    }
    if (linears.size() == op->operand_list("values").size()) TRY(make_linear(*op, linears));
  }
  function.remove_dead();
  for (const auto& op : function.ops) {
    if (op->type == "linear") TRY(make_linear(*op, {op.get()}));
  }
  return {};
}

}  // namespace diptych::passes
