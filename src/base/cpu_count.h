// How many CPUs this process may and should compute on.
#pragma once

#include <string>
#include <string_view>

namespace diptych {

// The CPUs of the affinity mask, no more than the quota of the process's cgroup (v2 or v1, any
// level), and, when that leaves more than four, no more than one per physical core.
int usable_cpus();

// What that is made of.
int affinity_cpus();
int cgroup_cpus();  // the quota, rounded up; 0: none

// For tests: the CPUs that a cgroup v2 "cpu.max" or the pair of v1 files allow, rounded up; 0 when
// they set no limit or are malformed.
int quota_from_cpu_max(std::string_view text);
int quota_from_cfs(std::string_view quota_us, std::string_view period_us);
// The first CPU in a kernel list such as "0,4" or "2-3"; -1 when malformed.
int first_of_cpu_list(std::string_view text);

}  // namespace diptych
