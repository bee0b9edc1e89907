// Which operation of one function is which of another, by data flow: from what they are computed,
// and what is computed of them. Names and order have no say, but among operations that data flow
// does not tell apart.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compare/canonical.h"

namespace diptych::compare {

// Where two aligned functions are not the same.
struct Difference {
  enum class Kind : uint8_t {
    OnlyA,  // an operation without counterpart
    OnlyB,
    Wiring,   // counterparts that read different values
    Setting,  // counterparts with other axes, numbers or texts
    Shape,    // counterparts whose results have other shapes, tokens and cache lengths aside
  };
  Kind kind = Kind::OnlyA;
  const mil::Op* a = nullptr;
  const mil::Op* b = nullptr;
  std::string what;  // "reads value cache 2, the other value cache 3"
};
std::string_view name(Difference::Kind kind);

struct Alignment {
  Canonical a, b;
  std::vector<std::optional<size_t>> of_a, of_b;  // by node: its counterpart
  size_t aligned = 0;
  std::vector<Difference> differences;  // in the order of a, then of b

  bool complete() const { return aligned == a.nodes.size() && aligned == b.nodes.size(); }
};

Alignment align(const Function& a, const Function& b);

}  // namespace diptych::compare
