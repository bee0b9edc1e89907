#include "measure/machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>

#include "base/cpu_count.h"
#include "base/proc.h"

namespace diptych::measure {

std::string cpu_model() {
  std::string model = proc_value("/proc/cpuinfo", "model name");
  return model.empty() ? "unknown" : model;
}

uint64_t last_level_cache_bytes() {
  const long l3 = sysconf(_SC_LEVEL3_CACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return static_cast<uint64_t>(std::max({l3, l2, 0L}));
}

namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop == text.data()) return std::nullopt;
  return value;
}

// CPUs in a kernel list such as "0-3,8".
std::vector<int> cpu_list(std::string_view text) {
  constexpr int kMost = 1 << 16;
  std::vector<int> cpus;
  while (!text.empty()) {
    const std::string_view range = text.substr(0, text.find(','));
    text.remove_prefix(std::min(range.size() + 1, text.size()));
    const size_t dash = range.find('-');
    const auto first = number(range);
    const auto last = dash == range.npos ? first : number(range.substr(dash + 1));
    if (!first || !last || *first < 0 || *last > kMost) continue;
    for (int cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

constexpr std::string_view kCpus = "/sys/devices/system/cpu/";

std::vector<Cache> caches_of_first_cpu() {
  std::vector<Cache> caches;
  for (int index = 0;; ++index) {
    const std::string path = fmt::format("{}cpu0/cache/index{}/", kCpus, index);
    const auto level = number(first_line(path + "level"));
    if (!level) return caches;
    std::string type = first_line(path + "type");
    std::transform(type.begin(), type.end(), type.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto shared = static_cast<int>(cpu_list(first_line(path + "shared_cpu_list")).size());
    caches.push_back({*level, std::move(type), kilobytes(first_line(path + "size")), shared});
  }
}

}  // namespace

Machine describe_machine() {
  Machine machine;
  machine.cpu = cpu_model();
  const std::vector<int> online = cpu_list(first_line(fmt::format("{}online", kCpus)));
  machine.cpus = std::max(1, static_cast<int>(online.size()));
  std::set<std::string> cores;
  for (const int cpu : online) {
    const std::string siblings =
        first_line(fmt::format("{}cpu{}/topology/thread_siblings_list", kCpus, cpu));
    cores.insert(siblings.empty() ? fmt::format("{}", cpu) : siblings);
  }
  machine.cores = std::max(1, static_cast<int>(cores.size()));
  machine.affinity = affinity_cpus();
  machine.cgroup_cpus = cgroup_cpus();
  machine.memory_bytes = kilobytes(proc_value("/proc/meminfo", "MemTotal"));
  machine.caches = caches_of_first_cpu();
  return machine;
}

uint64_t peak_memory_bytes() { return kilobytes(proc_value("/proc/self/status", "VmHWM")); }

void reset_peak_memory() {
  std::ofstream file("/proc/self/clear_refs");
  file << '5';  // see proc(5)
}

}  // namespace diptych::measure
