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

// The y of gelu(y), approximated by a tanh; or null.
mil::Value* gelu_of(const mil::Value* value) {
  const mil::Op* gelu = made_by(value, "gelu");
  if (gelu == nullptr) return nullptr;
  const auto mode = mil::gelu_mode(*gelu);
  return mode && *mode == mil::GeluMode::Tanh ? gelu->operand("x") : nullptr;
}

}  // namespace

Status fuse_gated(mil::Function& function) {
  for (const auto& op : function.ops) {
    if (op->type != "mul") continue;
    either_way(*op, [&](mil::Value* activated, mil::Value* up) {
      mil::Value *silu = silu_of(activated), *gelu = gelu_of(activated);
      mil::Value* gate = silu != nullptr ? silu : gelu;
      if (gate == nullptr || gate->type != up->type) return false;
      rewrite(*op, silu != nullptr ? "cpu.swiglu" : "cpu.geglu", {{"gate", {gate}}, {"up", {up}}});
      return true;
    });
  }
  return {};
}

Status fuse_for_cpu(mil::Function& function) {
  for (const auto fuse :
       {fuse_linears, fuse_norms, fuse_ropes, fuse_attention, fuse_gated, fuse_residuals}) {
    TRY(fuse(function));
    function.remove_dead();
  }
  return {};
}

}  // namespace diptych::engine
