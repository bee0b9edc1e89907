// Rules about sizes.
#include "lint/rule.h"

namespace diptych::lint {

namespace {

// Hardware dimensions seen by those who probe the Neural Engine.
constexpr int64_t kLargestDimension = 16384;
// Of the weights of one package: what its compiler was seen to take on phones.
constexpr uint64_t kLargestPackage = 1'000'000'000;
// Of a whole model, as Apple advises for phones.
constexpr uint64_t kLargestBundle = 2'000'000'000;
// Of logits that most callers throw away.
constexpr uint64_t kLargeLogits = 8 << 20;

}  // namespace

void large_dimensions(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    // Tables are read by rows: their length is no dimension of what is computed.
    const mil::Value& result = *op->results.front();
    if (!is_float(result.type.dtype)) continue;
    for (const int64_t size : result.type.shape) {
      if (size <= kLargestDimension) continue;
      sites.push_back(
          at(*op, bytes_of(result), fmt::format("{} in {}", size, to_string(result.type))));
      break;
    }
  }
}

void logits_of_all(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Value* output : function.outputs) {
    const TensorType& type = output->type;
    if (type.rank() != 3 || type.shape[1] < 2 || type.shape[2] < 4 * type.shape[1]) continue;
    if (output->producer == nullptr || bytes_of(*output) < kLargeLogits) continue;
    sites.push_back(at(*output, bytes_of(*output), to_string(type)));
  }
}

void large_packages(const Subject&, const Package* package, Sites& sites) {
  if (package == nullptr || package->weight_bytes <= kLargestPackage) return;
  sites.push_back({nullptr, "weights", package->weight_bytes,
                   fmt::format("{:.2f} GB", static_cast<double>(package->weight_bytes) / 1e9)});
}

void large_bundles(const Subject& subject, const Package* package, Sites& sites) {
  if (package != nullptr) return;
  uint64_t bytes = 0;
  for (const Package& one : subject.packages) bytes += one.weight_bytes;
  if (bytes <= kLargestBundle) return;
  sites.push_back({nullptr, "weights of all packages", bytes,
                   fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9)});
}

}  // namespace diptych::lint
