#include <unordered_map>

#include "engine/fuse/fuse.h"
#include "engine/fuse/match.h"

namespace diptych::engine {

namespace {

using UseCounts = std::unordered_map<const mil::Value*, int>;

// Uses as operands and as outputs.
UseCounts count_uses(const mil::Function& function) {
  UseCounts uses;
  for (const auto& op : function.ops) {
    for (const mil::Operand& operand : op->operands) {
      for (const mil::Value* value : operand.values) ++uses[value];
    }
  }
  for (const mil::Value* output : function.outputs) ++uses[output];
  return uses;
}

// The linear whose one result, of this type, is nothing but `value`; or null.
mil::Op* linear_for(mil::Value* value, const TensorType& type, const UseCounts& uses) {
  mil::Value* made = behind_reshapes(value);
  mil::Op* linear = made_by(made, "cpu.linear");
  if (linear == nullptr || linear->results.size() != 1 || linear->operand("residual") != nullptr ||
      made->type != type || value->type != type) {
    return nullptr;
  }
  for (mil::Value* at = value;; at = at->producer->operand("x")) {
    if (uses.at(at) != 1) return nullptr;
    if (at == made) return linear;
  }
}

}  // namespace

Status fuse_residuals(mil::Function& function) {
  const UseCounts uses = count_uses(function);
  for (const auto& op : function.ops) {
    if (op->type != "add") continue;
    const TensorType& type = op->result()->type;
    either_way(*op, [&](mil::Value* value, mil::Value* residual) {
      const mil::Op* linear = linear_for(value, type, uses);
      if (linear == nullptr || residual->type != type) return false;
      std::vector<mil::Operand> operands = linear->operands;
      operands.push_back({"residual", {residual}});
      rewrite(*op, "cpu.linear", std::move(operands));
      return true;
    });
  }
  return {};
}

}  // namespace diptych::engine
