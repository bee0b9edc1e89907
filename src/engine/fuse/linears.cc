#include <algorithm>
#include <unordered_set>

#include "engine/fuse/fuse.h"
#include "engine/fuse/match.h"

namespace diptych::engine {

namespace {

Result<bool> is_zero(const mil::Value& value) {
  if (!value.is_constant()) return false;
  const std::vector<float> elements = TRY(read_floats(*value.weight));
  return std::all_of(elements.begin(), elements.end(), [](float e) { return e == 0; });
}

// Whether all operands are floats, which is what cpu.linear takes.
bool is_of_floats(const mil::Op& linear) {
  return std::all_of(linear.operands.begin(), linear.operands.end(), [](const mil::Operand& each) {
    return is_float(each.values.front()->type.dtype);
  });
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

// Makes one operation of all cpu.linears from position `first` on that have the x of the one there
// and, like it, biases or none. Notes in `done` the new one and those that are dead now.
void join_siblings(mil::Function& function, size_t first,
                   std::unordered_set<const mil::Op*>& done) {
  const mil::Op& head = *function.ops[first];
  const mil::Value* x = head.operand("x");
  const bool biased = head.operand("biases") != nullptr;
  std::vector<mil::Op*> siblings;
  for (size_t i = first; i < function.ops.size(); ++i) {
    mil::Op& op = *function.ops[i];
    if (op.type == "cpu.linear" && op.operand("x") == x && !done.contains(&op) &&
        (op.operand("biases") != nullptr) == biased) {
      siblings.push_back(&op);
    }
  }
  done.insert(siblings.begin(), siblings.end());
  if (siblings.size() < 2) return;
  mil::Operand weights{"weights", {}}, biases{"biases", {}};
  std::vector<int64_t> counts;
  std::vector<std::pair<std::string, TensorType>> results;
  for (const mil::Op* op : siblings) {
    const auto& more = op->operand_list("weights");
    weights.values.insert(weights.values.end(), more.begin(), more.end());
    const auto& more_biases = op->operand_list("biases");
    biases.values.insert(biases.values.end(), more_biases.begin(), more_biases.end());
    counts.push_back(static_cast<int64_t>(more.size()));
    results.emplace_back(op->result()->name, op->result()->type);
  }
  std::vector<mil::Operand> operands{{"x", {head.operand("x")}}, std::move(weights)};
  if (biased) operands.push_back(std::move(biases));
  const Shape shape{static_cast<int64_t>(counts.size())};
  operands.push_back({"counts",
                      {function.add_constant(head.result()->name + "_counts",
                                             constant_ints(DType::Int32, shape, counts))}});
  const mil::Op* joined =
      function.insert_op(first, "cpu.linear", std::move(operands), std::move(results));
  done.insert(joined);
  for (size_t i = 0; i < siblings.size(); ++i) {
    function.replace_uses(siblings[i]->result(), joined->results[i]);
  }
}

}  // namespace

Status fuse_linears(mil::Function& function) {
  // Weights first, so that an operation may stand wherever its x is known.
  std::stable_partition(function.ops.begin(), function.ops.end(),
                        [](const auto& op) { return mil::is_constant_expression(*op); });
  for (const auto& op : function.ops) {
    if (op->type != "concat" || !along_last_axis(*op, "axis", *op->result())) continue;
    if (TRY(mil::bool_param(*op, "interleave", false))) continue;
    std::vector<mil::Op*> linears;
    for (const mil::Value* value : op->operand_list("values")) {
      mil::Op* linear = made_by(value, "linear");
      if (linear == nullptr || !is_of_floats(*linear)) break;
      if (!linears.empty() && linear->operand("x") != linears.front()->operand("x")) break;
      linears.push_back(linear);
    }
    if (linears.size() == op->operand_list("values").size()) TRY(make_linear(*op, linears));
  }
  function.remove_dead();
  for (const auto& op : function.ops) {
    if (op->type == "linear" && is_of_floats(*op)) TRY(make_linear(*op, {op.get()}));
  }
  std::unordered_set<const mil::Op*> done;
  for (size_t i = 0; i < function.ops.size(); ++i) {
    const mil::Op* op = function.ops[i].get();
    if (op->type == "cpu.linear" && !done.contains(op)) join_siblings(function, i, done);
  }
  function.remove_dead();
  return {};
}

}  // namespace diptych::engine
