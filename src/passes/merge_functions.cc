#include "passes/merge_functions.h"

#include <algorithm>
#include <unordered_set>

namespace diptych::passes {

namespace {

Status check_names(const std::vector<CutMethod>& methods) {
  for (const CutMethod& method : methods) {
    const auto same_name = [&](const CutMethod& other) { return other.name == method.name; };
    if (std::count_if(methods.begin(), methods.end(), same_name) > 1) {
      return invalid_argument("two methods are named '{}'", method.name);
    }
  }
  return {};
}

Status check_equal_counts(const std::vector<CutMethod>& methods) {
  const bool equal = std::all_of(methods.begin(), methods.end(), [&](const CutMethod& method) {
    return method.partitions.size() == methods[0].partitions.size();
  });
  if (equal) return {};
  std::string counts;
  for (const CutMethod& method : methods) {
    counts += fmt::format("{}'{}' has {}", counts.empty() ? "" : ", ", method.name,
                          method.partitions.size());
  }
  return invalid_argument(
      "positional weight sharing needs the same number of partitions in every method, but {}; "
      "give the methods the same graph breaks, share in one package or disable weight sharing",
      counts);
}

// The package of a partition, and the name of its function there.
struct Place {
  size_t package = 0;
  std::string function;
};

Place place_of(const std::vector<CutMethod>& methods, Package::Member member,
               WeightSharing sharing) {
  const std::string& method = methods[member.method].name;
  if (sharing == WeightSharing::OnePackage) {
    return {0, fmt::format("{}__{}", method, member.partition)};
  }
  if (sharing == WeightSharing::Positional) return {member.partition, method};
  size_t before = 0;
  for (size_t m = 0; m < member.method; ++m) before += methods[m].partitions.size();
  return {before + member.partition, method};
}

}  // namespace

Result<std::vector<Package>> merge_functions(std::vector<CutMethod>& methods,
                                             WeightSharing sharing) {
  const bool whole = std::all_of(methods.begin(), methods.end(), [](const CutMethod& method) {
    return method.partitions.size() == 1;
  });
  if (sharing == WeightSharing::OnePackage && whole) sharing = WeightSharing::Positional;
  if (sharing != WeightSharing::Disabled) TRY(check_names(methods));
  if (sharing == WeightSharing::Positional) TRY(check_equal_counts(methods));

  std::vector<Package> packages;
  for (size_t m = 0; m < methods.size(); ++m) {
    for (size_t p = 0; p < methods[m].partitions.size(); ++p) {
      Place place = place_of(methods, {m, p}, sharing);
      packages.resize(std::max(packages.size(), place.package + 1));
      Package& package = packages[place.package];
      package.members.push_back({m, p});
      package.program.functions.push_back(std::move(methods[m].partitions[p].function));
      package.program.functions.back()->name = std::move(place.function);
    }
  }
  for (Package& package : packages) {
    if (package.members.size() == 1) package.program.functions.front()->name = "main";
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
