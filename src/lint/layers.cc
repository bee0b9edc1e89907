#include <charconv>

#include "lint/rule.h"

namespace diptych::lint {

namespace {

// Operations after the first one that are looked at.
constexpr size_t kNear = 40;

std::optional<int64_t> layer_in(std::string_view name) {
  const size_t at = name.find("layers");
  if (at == name.npos || at + 7 >= name.size()) return std::nullopt;
  int64_t layer = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + at + 7, end, layer);
  if (error != std::errc() || layer < 0) return std::nullopt;
  return layer;
}

std::optional<int64_t> layer_in(const mil::Op& op) {
  for (const mil::Operand& operand : op.operands) {
    for (const mil::Value* value : operand.values) {
      if (!is_weight(*value)) continue;
      if (const auto layer = layer_in(value->name)) return layer;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> layer_near(const mil::Function& function, const mil::Op& op) {
  size_t left = 0;
  for (const auto& candidate : function.ops) {
    if (candidate.get() == &op) left = kNear;
    if (left == 0) continue;
    if (const auto layer = layer_in(*candidate)) return layer;
    if (--left == 0) break;
  }
  return std::nullopt;
}

}  // namespace diptych::lint
