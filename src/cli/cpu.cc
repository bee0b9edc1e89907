// diptych cpu: what the machine has, and what of it the engine uses.

#include <fmt/format.h>

#include <cstdlib>
#include <thread>

#include "base/human.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "kernels/isa.h"
#include "measure/machine.h"

namespace diptych::cli {

namespace {

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const kernels::Isa isa : kernels::available_isas()) names.emplace_back(kernels::name(isa));
  return names;
}

// Empty when it is not set.
std::string environment(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }

std::string json_text(const measure::Machine& machine, kernels::Isa selected) {
  Json caches = Json::array();
  for (const measure::Cache& cache : machine.caches) {
    caches.push_back({{"level", cache.level},
                      {"type", cache.type},
                      {"bytes", cache.bytes},
                      {"cpus", cache.cpus}});
  }
  const std::string isa = environment("DIPTYCH_ISA");
  return dump_json({{"model", machine.cpu},
                    {"cpus", machine.cpus},
                    {"cores", machine.cores},
                    {"affinity", machine.affinity},
                    {"cgroup_cpus", machine.cgroup_cpus > 0 ? Json(machine.cgroup_cpus) : Json()},
                    {"threads", ThreadPool::default_threads()},
                    {"caches", std::move(caches)},
                    {"memory_bytes", machine.memory_bytes},
                    {"available_memory_bytes", available_memory_bytes()},
                    {"isas", isa_names()},
                    {"selected_isa", kernels::name(selected)},
                    {"DIPTYCH_ISA", isa.empty() ? Json() : Json(isa)}},
                   2) +
         "\n";
}

std::string table_text(const measure::Machine& machine, kernels::Isa selected) {
  Table table({"what", "value"});
  table.add({"model", machine.cpu});
  table.add({"CPUs", fmt::format("{}, {} cores", machine.cpus, machine.cores)});
  table.add({"affinity", fmt::format("{} CPUs", machine.affinity)});
  table.add({"cgroup",
             machine.cgroup_cpus > 0 ? fmt::format("{} CPUs", machine.cgroup_cpus) : "no limit"});
  table.add({"threads by default", fmt::format("{}", ThreadPool::default_threads())});
  for (const measure::Cache& cache : machine.caches) {
    table.add({fmt::format("L{} {}", cache.level, cache.type),
               fmt::format("{}{}", human_bytes(cache.bytes),
                           cache.cpus > 1 ? fmt::format(", for {} CPUs", cache.cpus) : "")});
  }
  table.add({"memory", fmt::format("{}, {} available", human_bytes(machine.memory_bytes),
                                   human_bytes(available_memory_bytes()))});
  table.add({"instruction sets", fmt::format("{}", fmt::join(isa_names(), ", "))});
  table.add({"selected", std::string(kernels::name(selected))});
  table.add({"DIPTYCH_ISA", or_dash(environment("DIPTYCH_ISA"))});
  return table.text();
}

}  // namespace

Action setup_cpu(Parser& parser) {
  auto json = std::make_shared<bool>(false);
  parser.add_flag("--json", *json, "One JSON object instead of a table");
  return [json]() -> Status {
    const measure::Machine machine = measure::describe_machine();
    const kernels::Isa selected = kernels::selected_isa();
    return write_results(*json ? json_text(machine, selected) : table_text(machine, selected));
  };
}

}  // namespace diptych::cli
