// Which delegate calls of a method serve the outputs that are asked for.
#pragma once

#include <cstddef>
#include <vector>

namespace diptych::runtime {

// Indices of the method's values that a call reads and writes.
struct CallValues {
  std::vector<size_t> inputs, outputs;
};

// `values[i]`: whether value i is wanted; then also those that it is computed from. `needed[c]`:
// whether call c, in the order of execution, writes any of them. `values` has an entry for every
// value; `needed` is made as long as `calls`, which allocates when it was shorter.
void mark_needed(const std::vector<CallValues>& calls, std::vector<bool>& values,
                 std::vector<bool>& needed);

}  // namespace diptych::runtime
