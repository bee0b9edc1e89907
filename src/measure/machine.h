// What the operating system says about the machine and about this process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace diptych::measure {

// The CPU's model name; "unknown" where the kernel does not tell.
std::string cpu_model();
// Of the last-level cache, 0 when unknown.
uint64_t last_level_cache_bytes();

struct Cache {
  int level = 0;
  std::string type;  // "data", "instruction", "unified"
  uint64_t bytes = 0;
  int cpus = 0;  // that share one
};

struct Machine {
  std::string cpu;      // cpu_model()
  int cpus = 0;         // that are online
  int cores = 0;        // among these; as many as CPUs where the kernel does not tell
  int affinity = 0;     // CPUs that this process may run on
  int cgroup_cpus = 0;  // and has time for; 0: no limit
  uint64_t memory_bytes = 0;
  std::vector<Cache> caches;  // of the first CPU; none where the kernel does not tell
};
Machine describe_machine();

// The resident set's high-water mark, and its reset to what is resident now. Where the kernel does
// not allow a reset, the mark stays that of the whole process.
uint64_t peak_memory_bytes();
void reset_peak_memory();

}  // namespace diptych::measure
