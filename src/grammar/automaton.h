// A grammar compiled: a pushdown automaton over bytes. Characters have become sequences of bytes,
// repetitions copies or loops; a rule that uses another one calls it and comes back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "grammar/expression.h"

namespace diptych::grammar {

using StateId = uint32_t;

// Immutable; shared by all who match.
struct Automaton {
  struct Edge {
    enum class Kind : uint8_t { Bytes, Free, Call };
    Kind kind = Kind::Free;
    uint8_t first = 0, last = 0;  // Bytes: of these, both included
    StateId rule = 0;             // Call: the called rule's first state
    StateId to = 0;               // the next state; of a call, once the rule has ended
  };
  struct State {
    std::vector<Edge> edges;
    bool ends = false;  // the rule ends here
    bool last = false;  // it does and nothing may follow: who comes here from a call goes on to
                        // the caller's caller
  };
  std::vector<State> states;
  StateId start = 0;
};

// Compiles rules, of which `start` is the whole text. Errors: a rule that calls itself before any
// byte (left recursion), naming it; more states than kMostStates.
inline constexpr size_t kMostStates = 100'000;
Result<std::shared_ptr<const Automaton>> compile(const std::vector<Rule>& rules, size_t start);

}  // namespace diptych::grammar
