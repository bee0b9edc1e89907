#include "engine/step_work.h"

#include <charconv>
#include <string_view>

namespace diptych::engine {

namespace {

// Calls visit(constant) for the constants that a value is or is made of at compile time.
template <class Visit>
void each_constant(const mil::Value& value, const Visit& visit) {
  if (value.is_constant() && value.weight) return visit(value);
  if (!mil::is_constant_expression(value)) return;
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

}  // namespace

std::optional<int> layer_of(const mil::Op& op) {
  std::optional<int> layer;
  for (const mil::Operand& operand : op.operands) {
    for (const mil::Value* value : operand.values) {
      each_constant(*value, [&](const mil::Value& constant) {
        if (!layer) layer = layer_in(constant.name);
      });
    }
  }
  return layer;
}

}  // namespace diptych::engine
