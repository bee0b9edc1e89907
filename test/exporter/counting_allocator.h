#pragma once

#include <cstdint>

namespace diptych::testing {

// Calls of `operator new` so far, by any thread of this program. Linking counting_allocator.cc
// replaces the allocator; it is a file of its own so that no compiler sees an operator inlined
// beside its counterpart's call and takes them for mismatched.
int64_t allocations();

}  // namespace diptych::testing
