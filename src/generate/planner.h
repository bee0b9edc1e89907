// Which functions evaluate a stretch of tokens, call by call, in the least time. All splits give
// the same bits (docs/engine.md, "Independence"), so that only time decides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "generate/call_cost.h"

namespace diptych::generate {

// A function that a call may take.
struct Choice {
  int64_t tokens = 1;  // rows of a call at most
  CallCost cost;
};

struct Stretch {
  int64_t rows = 0;  // tokens to evaluate one after another; logits are wanted after the last
  // Rows that the cache takes. A call that goes beyond must be the last: what is not in the cache
  // nobody sees afterwards.
  int64_t room = 0;
};

struct PlannedCall {
  size_t function = 0;  // among the choices
  int64_t rows = 0;
};

// The calls of the least sum of costs, the fewest of equals; the last gives logits. Takes a time of
// rows * choices. Empty when no choice reaches the end from within the cache.
std::vector<PlannedCall> plan_calls(const Stretch& stretch, std::span<const Choice> choices);
// The same with one of the choices alone.
std::vector<PlannedCall> plan_alone(const Stretch& stretch, std::span<const Choice> choices,
                                    size_t function);
// The calls of plan_calls(), or those of the best function alone where they are expected to take
// hardly more: costs are estimates, and what is compared with one function's own errs less.
std::vector<PlannedCall> plan_safely(const Stretch& stretch, std::span<const Choice> choices);

}  // namespace diptych::generate
