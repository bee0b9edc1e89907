// What Linux says under /proc and /sys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace diptych {

// The value of the first line "key : value" of a file; empty when there is none.
std::string proc_value(const char* path, std::string_view key);
// "123 kB" or "123K" in bytes; 0 where there is no number.
uint64_t kilobytes(std::string_view text);

// Memory that can be taken without swapping, 0 when unknown.
uint64_t available_memory_bytes();

}  // namespace diptych
