#include "passes/sharing.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace diptych::passes {

namespace {

constexpr uint64_t kLeastElements = 10;

void add(std::vector<size_t>& sorted, size_t item) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), item);
  if (at == sorted.end() || *at != item) sorted.insert(at, item);
}

std::map<std::string_view, size_t> count_by_adapter(std::span<const std::string_view> adapters) {
  std::map<std::string_view, size_t> counts;
  for (const std::string_view adapter : adapters) ++counts[adapter];
  return counts;
}

bool is_unshared(const std::vector<size_t>& users, std::span<const std::string_view> adapters) {
  if (users.size() == adapters.size()) return false;
  std::vector<std::string_view> theirs;
  for (const size_t method : users) theirs.push_back(adapters[method]);
  const auto all = count_by_adapter(adapters), some = count_by_adapter(theirs);
  return some.empty() || std::any_of(some.begin(), some.end(), [&](const auto& group) {
           return group.first.empty() || group.second != all.at(group.first);
         });
}

}  // namespace

std::vector<StoredWeight> stored_weights(std::span<const UsedPackage> packages,
                                         std::span<const std::string_view> adapters) {
  std::vector<StoredWeight> weights;
  for (size_t package = 0; package < packages.size(); ++package) {
    const auto& functions = packages[package].program->functions;
    std::unordered_map<const Weight*, size_t> rows;
    for (size_t f = 0; f < functions.size(); ++f) {
      for (const mil::Value* constant : functions[f]->constants()) {
        const WeightRef& weight = constant->weight;
        if (weight == nullptr || weight->elements() < kLeastElements ||
            weight->dtype() == DType::Int32) {
          continue;
        }
        const auto [at, is_new] = rows.emplace(weight.get(), weights.size());
        if (is_new) {
          weights.push_back(
              {package, constant->name, weight, packed_size(weight->type()).value_or(0), {}, {}});
        }
        StoredWeight& row = weights[at->second];
        add(row.functions, f);
        for (const size_t method : packages[package].methods[f]) add(row.methods, method);
      }
    }
  }
  for (StoredWeight& row : weights) row.unshared = is_unshared(row.methods, adapters);
  return weights;
}

}  // namespace diptych::passes
