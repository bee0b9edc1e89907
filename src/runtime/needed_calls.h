// Which delegate calls of a method the wanted outputs need.
#pragma once

#include <cstddef>
#include <vector>

namespace diptych::runtime {

// Indices of the method's values that a call reads and writes.
struct CallValues {
  std::vector<size_t> inputs, outputs;
};

// Finds the calls that the wanted values need. `values` has an entry for each of the method's
// values and says which are wanted; on return it also marks the values that those are computed
// from. needed[c] becomes true when call c, in the order of execution, writes a marked value.
// `needed` gets the length of `calls`; only growing it allocates.
void mark_needed(const std::vector<CallValues>& calls, std::vector<bool>& values,
                 std::vector<bool>& needed);

}  // namespace diptych::runtime
