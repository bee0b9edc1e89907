#include "base/cpu_count.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <set>
#include <thread>
#include <vector>

namespace diptych {

namespace {

constexpr size_t kManyCpus = 4;

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<long> number(std::string_view text) {
  long value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop == text.data()) return std::nullopt;
  return value;
}

// The tightest quota of a group and those above it; 0 for none.
template <class Quota>
int tightest(const std::string& root, std::string group, Quota quota_of) {
  int least = 0;
  for (;;) {
    const int quota = quota_of(root + group);
    if (quota > 0) least = least == 0 ? quota : std::min(least, quota);
    const size_t slash = group.rfind('/');
    if (slash == group.npos) return least;
    group.resize(slash);
  }
}

int cgroup_quota() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    int quota = 0;
    if (controllers.empty()) {
      quota = tightest("/sys/fs/cgroup", group, [](const std::string& path) {
        const auto text = first_line(path + "/cpu.max");
        return text ? quota_from_cpu_max(*text) : 0;
      });
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      quota = tightest("/sys/fs/cgroup/cpu", group, [](const std::string& path) {
        const auto quota_us = first_line(path + "/cpu.cfs_quota_us");
        const auto period_us = first_line(path + "/cpu.cfs_period_us");
        return quota_us && period_us ? quota_from_cfs(*quota_us, *period_us) : 0;
      });
    }
    if (quota > 0) return quota;
  }
  return 0;
}

std::vector<int> affinity() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    cpus.resize(std::max(1u, std::thread::hardware_concurrency()));
    for (size_t i = 0; i < cpus.size(); ++i) cpus[i] = static_cast<int>(i);
    return cpus;
  }
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// Cores among the CPUs; their number where the system does not tell.
size_t physical_cores(const std::vector<int>& cpus) {
  std::set<int> cores;
  for (const int cpu : cpus) {
    const auto siblings = first_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                                     "/topology/thread_siblings_list");
    const int first = siblings ? first_of_cpu_list(*siblings) : -1;
    cores.insert(first >= 0 ? first : cpu);
  }
  return cores.size();
}

}  // namespace

int quota_from_cfs(std::string_view quota_us, std::string_view period_us) {
  const auto quota = number(quota_us), period = number(period_us);
  if (!quota || !period || *quota <= 0 || *period <= 0) return 0;
  return static_cast<int>(std::min<long>((*quota - 1) / *period + 1, CPU_SETSIZE));
}

int quota_from_cpu_max(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == text.npos) return 0;
  return quota_from_cfs(text.substr(0, space), text.substr(space + 1));
}

int first_of_cpu_list(std::string_view text) {
  const auto first = number(text);
  return first && *first >= 0 ? static_cast<int>(std::min<long>(*first, CPU_SETSIZE)) : -1;
}

int affinity_cpus() { return static_cast<int>(std::max<size_t>(affinity().size(), 1)); }

int cgroup_cpus() { return cgroup_quota(); }

int usable_cpus() {
  const std::vector<int> cpus = affinity();
  size_t count = std::max<size_t>(cpus.size(), 1);
  if (count > kManyCpus) count = std::max(physical_cores(cpus), kManyCpus);
  if (const int quota = cgroup_quota(); quota > 0) {
    count = std::min(count, static_cast<size_t>(quota));
  }
  return static_cast<int>(count);
}

}  // namespace diptych
