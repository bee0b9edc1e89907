#include "runtime/needed_calls.h"

#include <algorithm>

namespace diptych::runtime {

void mark_needed(const std::vector<CallValues>& calls, std::vector<bool>& values,
                 std::vector<bool>& needed) {
  needed.assign(calls.size(), false);
  for (size_t c = calls.size(); c-- > 0;) {
    const CallValues& call = calls[c];
    needed[c] = std::any_of(call.outputs.begin(), call.outputs.end(),
                            [&values](size_t value) { return values[value]; });
    if (!needed[c]) continue;
    for (const size_t value : call.inputs) values[value] = true;
  }
}

}  // namespace diptych::runtime
