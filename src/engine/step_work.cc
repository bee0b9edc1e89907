#include "engine/step_work.h"

#include <charconv>
#include <string_view>

namespace diptych::engine {

namespace {

// Calls visit(constant) for the constants that a value is or is made of at compile time.
template <class Visit>
void each_constant(const mil::Value& value, const Visit& visit) {
  if (value.is_constant() && value.weight) return visit(value);
  if (value.producer == nullptr || !value.producer->type.starts_with("constexpr_")) return;
  for (const mil::Operand& operand : value.producer->operands) {
    for (const mil::Value* source : operand.values) each_constant(*source, visit);
  }
}

// The N of "layers_N_" in a weight's name.
std::optional<int> layer_in(std::string_view name) {
  constexpr std::string_view kMark = "layers_", kNorm = "norm_weight";
  const size_t mark = name.find(kMark);
  if (mark == name.npos) {
    return name.find(kNorm) == name.npos ? std::nullopt : std::optional(-1);
  }
  int layer = 0;
  const auto [stop, error] =
      std::from_chars(name.data() + mark + kMark.size(), name.data() + name.size(), layer);
  if (error != std::errc() || layer < 0) return std::nullopt;
  return layer;
}

uint64_t elements_of(const mil::Value& value) {
  return element_count(value.type.shape).value_or(0);
}

}  // namespace

OpWork work_of(const mil::Op& op) {
  OpWork work;
  for (const mil::Operand& operand : op.operands) {
    for (const mil::Value* value : operand.values) {
      each_constant(*value, [&](const mil::Value& constant) {
        if (!work.layer) work.layer = layer_in(constant.name);
      });
    }
  }
  if (op.type != "linear" && op.type != "cpu.linear") return work;
  const mil::Value& x = *op.operand("x");
  for (const mil::Value* weight : op.operand_list(op.type == "linear" ? "weight" : "weights")) {
    each_constant(*weight, [&](const mil::Value& constant) {
      work.weight_bytes += packed_size(constant.type).value_or(0);
    });
    work.multiply_adds += elements_of(x) * static_cast<uint64_t>(weight->type.shape[0]);
  }
  return work;
}

}  // namespace diptych::engine
