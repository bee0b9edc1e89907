// Splits linear operations into several with fewer outputs each: the Neural Engine runs smaller
// matrices better. Source: SplitLinearModule in upstream's examples/apple/coreml/llama/utils.py.
#pragma once

#include <cstdint>
#include <set>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::passes {

struct SplitOptions {
  int64_t target_size = 1024;  // outputs per piece aimed at; 0 does not split
  int64_t max_splits = 8;
  std::set<const Weight*> whole = {};  // weights whose linears are left as they are
};

// Upstream's rule for the pieces of a linear with `outputs` outputs: outputs / target_size, at
// least 1, at most max_splits (which is 1 or more).
int64_t wanted_split_count(int64_t outputs, const SplitOptions& options);

// The number of pieces that a linear is split into: wanted_split_count() or, where that does not
// give pieces of equal size (upstream refuses then), the next smaller number that does.
int64_t split_count(int64_t outputs, const SplitOptions& options);

// Replaces every linear by linears over consecutive rows of its weight and bias, and a concat of
// their results along the last axis, which takes over the name of the result. One piece gets a
// concat too, as upstream's does. A target_size of 0 changes nothing. Weights and biases must be
// constants that are not quantised yet. If functions share a weight, they share its pieces.
Status split_linears(mil::Program& program, const SplitOptions& options);

}  // namespace diptych::passes
