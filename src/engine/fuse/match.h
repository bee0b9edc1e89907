// What the fusions look for patterns with. Private to src/engine/fuse.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "mil/ir.h"
#include "mil/params.h"

namespace diptych::engine {

// The operation of a type that made a value, or null.
inline mil::Op* made_by(const mil::Value* value, std::string_view type) {
  if (value == nullptr || value->kind != mil::Value::Kind::Result) return nullptr;
  return value->producer->type == type ? value->producer : nullptr;
}

// Where the elements of a value come from in the same order: behind reshapes.
inline mil::Value* behind_reshapes(mil::Value* value) {
  for (;;) {
    mil::Op* op = nullptr;
    for (const std::string_view type : {"reshape", "expand_dims", "squeeze"}) {
      if (op == nullptr) op = made_by(value, type);
    }
    if (op == nullptr) return value;
    value = op->operand("x");
  }
}

// The operands of an add or mul in both orders: calls `match(x, y)` and `match(y, x)` until one
// gives true.
template <class Match>
bool either_way(const mil::Op& op, Match match) {
  mil::Value *x = op.operand("x"), *y = op.operand("y");
  return match(x, y) || match(y, x);
}

// The number that a value is: a constant of one element.
inline std::optional<double> number(const mil::Value* value) {
  if (value == nullptr || !value->is_constant() || !value->weight ||
      value->weight->elements() != 1) {
    return std::nullopt;
  }
  const auto constant = mil::constant_float(*value);
  return constant ? std::optional<double>(*constant) : std::nullopt;
}

// Whether an operation works along the last axis of x: a single axis, given by `param`.
inline bool along_last_axis(const mil::Op& op, std::string_view param, const mil::Value& x) {
  const auto axes = mil::ints_param(op, param);
  return axes && axes->size() == 1 && (axes->front() == -1 || axes->front() == x.type.rank() - 1);
}

// Turns an operation into another with the same result.
inline void rewrite(mil::Op& op, std::string_view type, std::vector<mil::Operand> operands) {
  op.type = type;
  op.operands = std::move(operands);
}

}  // namespace diptych::engine
