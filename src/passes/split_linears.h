// Splits linear operations into several with fewer outputs each: the Neural Engine runs smaller
// matrices better. Source: SplitLinearModule in upstream's examples/apple/coreml/llama/utils.py.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::passes {

struct SplitOptions {
  int64_t target_size = 1024;  // outputs per piece aimed at; 0 does not split
  int64_t max_splits = 8;
  std::set<const Weight*> whole = {};  // weights whose linears are left as they are
};

// The pieces a linear with `outputs` outputs is split into: outputs / target_size, at least 1, at
// most max_splits. An error when the pieces would not be of equal size.
Result<int64_t> split_count(int64_t outputs, const SplitOptions& options);

// The target size nearest to the given one (the smaller of two) that splits all of these evenly;
// options.max_splits is 1 or more.
int64_t nearest_target_size(const std::vector<int64_t>& outputs, const SplitOptions& options);

// Replaces every linear by linears over consecutive rows of its weight and bias, and their concat
// along the last axis, which takes over the name of the result. One piece still gets its concat of
// one value, as upstream's; target_size 0 changes nothing. Weights and biases must be constants
// that are not quantised yet. Sizes that do not divide are all listed in one error with the nearest
// valid target size. Pieces of a weight that functions share are shared.
Status split_linears(mil::Program& program, const SplitOptions& options);

}  // namespace diptych::passes
