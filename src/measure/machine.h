// What the operating system says about the machine and about this process.
#pragma once

#include <cstdint>
#include <string>

namespace diptych::measure {

// The CPU's model name; "unknown" where the kernel does not tell.
std::string cpu_model();
// Of the last-level cache, 0 when unknown.
uint64_t last_level_cache_bytes();
// Memory that can be taken without swapping, 0 when unknown.
uint64_t available_memory_bytes();

// The resident set's high-water mark, and its reset to what is resident now. Where the kernel does
// not allow a reset, the mark stays that of the whole process.
uint64_t peak_memory_bytes();
void reset_peak_memory();

}  // namespace diptych::measure
