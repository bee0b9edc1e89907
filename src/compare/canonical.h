// What alignment sees of a function: its operations without what only changes the form of values.
// Dequantised weights are weights; casts between floats, identities and the wrapping of indices are
// nothing; a linear that was split into pieces is one again.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compare/subject.h"

namespace diptych::compare {

// One operation of the canonical form.
struct Node {
  const mil::Op* op = nullptr;  // for a linear in pieces the concat that joins them
  std::string type;             // "linear", also of pieces
  const mil::Value* result = nullptr;
  std::vector<const mil::Op*> pieces;  // of a linear: the linears, at least one

  // Where an operand comes from.
  struct Operand {
    std::string param;
    enum class Kind : uint8_t { Node, Input, Constant } kind = Kind::Constant;
    size_t index = 0;                   // of the node, or of the function's input
    size_t result = 0;                  // which result of the node
    const mil::Value* value = nullptr;  // of the constant or weight
  };
  std::vector<Operand> operands;
};

struct Canonical {
  const Function* of = nullptr;
  std::vector<Node> nodes;  // in order
  struct Output {
    std::optional<size_t> node;  // nothing: an input or a constant
    std::string role;
  };
  std::vector<Output> outputs;
  std::vector<std::vector<std::pair<size_t, size_t>>> uses;  // by node: (node, operand)
};

Canonical canonical(const Function& function);

}  // namespace diptych::compare
