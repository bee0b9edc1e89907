#include "passes/merge_functions.h"

#include <algorithm>
#include <unordered_set>

namespace diptych::passes {

namespace {

Status check_mergeable(const std::vector<CutMethod>& methods) {
  std::string counts;
  for (const CutMethod& method : methods) {
    counts += fmt::format("{}'{}' has {}", counts.empty() ? "" : ", ", method.name,
                          method.partitions.size());
    const auto same_name = [&](const CutMethod& other) { return other.name == method.name; };
    if (std::count_if(methods.begin(), methods.end(), same_name) > 1) {
      return invalid_argument("two methods are named '{}'", method.name);
    }
  }
  const bool equal = std::all_of(methods.begin(), methods.end(), [&](const CutMethod& method) {
    return method.partitions.size() == methods[0].partitions.size();
  });
  if (!equal) {
    return invalid_argument(
        "positional weight sharing needs the same number of partitions in every method, but {}; "
        "give the methods the same graph breaks or disable weight sharing",
        counts);
  }
  return {};
}

}  // namespace

Result<std::vector<Package>> merge_functions(std::vector<CutMethod>& methods,
                                             WeightSharing sharing) {
  std::vector<Package> packages;
  if (sharing == WeightSharing::Disabled || methods.size() == 1) {
    for (size_t m = 0; m < methods.size(); ++m) {
      for (size_t p = 0; p < methods[m].partitions.size(); ++p) {
        Package& package = packages.emplace_back();
        package.members.push_back({m, p});
        package.program.functions.push_back(std::move(methods[m].partitions[p].function));
        package.program.functions.back()->name = "main";
      }
    }
    return packages;
  }
  TRY(check_mergeable(methods));
  packages.resize(methods.empty() ? 0 : methods[0].partitions.size());
  for (size_t m = 0; m < methods.size(); ++m) {
    for (size_t p = 0; p < packages.size(); ++p) {
      packages[p].members.push_back({m, p});
      packages[p].program.functions.push_back(std::move(methods[m].partitions[p].function));
      packages[p].program.functions.back()->name = methods[m].name;
    }
  }
  return packages;
}

ConstantBytes count_constant_bytes(const mil::Program& program) {
  ConstantBytes bytes;
  std::unordered_set<const Weight*> seen;
  for (const auto& function : program.functions) {
    std::unordered_set<const Weight*> in_function;
    for (const mil::Value* constant : function->constants()) {
      const Weight* weight = constant->weight.get();
      if (!weight || !in_function.insert(weight).second) continue;
      const uint64_t size = packed_size(weight->type()).value_or(0);
      bytes.total += size;
      if (seen.insert(weight).second) bytes.unique += size;
    }
  }
  return bytes;
}

}  // namespace diptych::passes
