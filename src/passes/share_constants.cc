#include "passes/share_constants.h"

#include <map>

namespace diptych::passes {

namespace {

// Above this, comparing contents costs more than it saves.
constexpr uint64_t kMaxBytes = 1 << 20;

}  // namespace

Status share_constants(mil::Program& program) {
  DigestCache digests;
  std::map<Digest, WeightRef> first;
  for (const auto& function : program.functions) {
    for (mil::Value* constant : function->constants()) {
      if (!constant->weight) continue;
      if (TRY(packed_size(constant->type)) > kMaxBytes) continue;
      WeightRef& shared = first[constant->weight->digest(digests)];
      if (!shared) shared = constant->weight;
      constant->weight = shared;
    }
  }
  return {};
}

}  // namespace diptych::passes
