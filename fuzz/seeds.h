// What every fuzz target defines beside LLVMFuzzerTestOneInput.
#pragma once

#include <cstddef>
#include <vector>

// Valid inputs to start mutating from; at least one.
std::vector<std::vector<std::byte>> fuzz_seeds();
