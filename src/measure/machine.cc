#include "measure/machine.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>

namespace diptych::measure {

namespace {

// The value of the first line "key : value" of a file under /proc; empty when there is none.
std::string value_of(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (!line.starts_with(key) || colon == line.npos) continue;
    if (line.find_last_not_of(" \t", colon - 1) + 1 != key.size()) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == line.npos ? "" : line.substr(begin);
  }
  return {};
}

// "123 kB" in bytes.
uint64_t kilobytes(const std::string& text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value * 1024;
}

}  // namespace

std::string cpu_model() {
  std::string model = value_of("/proc/cpuinfo", "model name");
  return model.empty() ? "unknown" : model;
}

uint64_t last_level_cache_bytes() {
  const long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return static_cast<uint64_t>(std::max({l3, l2, 0L}));
}

uint64_t available_memory_bytes() { return kilobytes(value_of("/proc/meminfo", "MemAvailable")); }

uint64_t peak_memory_bytes() { return kilobytes(value_of("/proc/self/status", "VmHWM")); }

void reset_peak_memory() {
  std::ofstream file("/proc/self/clear_refs");
  file << '5';  // see proc(5)
}

}  // namespace diptych::measure
