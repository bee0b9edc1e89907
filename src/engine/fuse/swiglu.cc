#include "engine/fuse/fuse.h"
#include "engine/fuse/match.h"

namespace diptych::engine {

namespace {

// The y of silu(y), also where it is written y * sigmoid(y); or null.
mil::Value* silu_of(const mil::Value* value) {
  if (const mil::Op* silu = made_by(value, "silu")) return silu->operand("x");
  const mil::Op* mul = made_by(value, "mul");
  mil::Value* found = nullptr;
  if (mul == nullptr) return found;
  either_way(*mul, [&](mil::Value* y, mil::Value* gate) {
    const mil::Op* sigmoid = made_by(gate, "sigmoid");
    if (sigmoid != nullptr && sigmoid->operand("x") == y) found = y;
    return found != nullptr;
  });
  return found;
}

}  // namespace

Status fuse_swiglu(mil::Function& function) {
  for (const auto& op : function.ops) {
    if (op->type != "mul") continue;
    either_way(*op, [&](mil::Value* activated, mil::Value* up) {
      mil::Value* gate = silu_of(activated);
      if (gate == nullptr || gate->type != up->type) return false;
      rewrite(*op, "cpu.swiglu", {{"gate", {gate}}, {"up", {up}}});
      return true;
    });
  }
  return {};
}

Status fuse_for_cpu(mil::Function& function) {
  for (const auto fuse :
       {fuse_linears, fuse_norms, fuse_ropes, fuse_attention, fuse_swiglu, fuse_residuals}) {
    TRY(fuse(function));
    function.remove_dead();
  }
  return {};
}

}  // namespace diptych::engine
