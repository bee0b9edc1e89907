#include <map>
#include <set>

#include "verify/check.h"

namespace diptych::verify {

namespace {

// Smaller constants are shapes, axes and scalars.
constexpr uint64_t kWorthSharing = 1 << 10;

}  // namespace

Status check_sharing(Subject& subject, Report& report, Progress&) {
  uint64_t stored = 0, twice = 0;
  bool several = false;
  for (size_t i = 0; i < subject.inspection.packages.size(); ++i) {
    const tools::Package& package = subject.inspection.packages[i];
    if (package.model == nullptr) continue;
    const auto& functions = package.model->model.program.functions;
    several = several || functions.size() > 1;
    struct Use {
      std::string name;
      std::set<std::string> functions;
      WeightRef weight;
    };
    std::map<const Weight*, Use> uses;
    for (const auto& function : functions) {
      for (const mil::Value* constant : function->constants()) {
        if (constant->weight == nullptr) continue;
        if (packed_size(constant->type).value_or(0) < kWorthSharing) continue;
        Use& use = uses[constant->weight.get()];
        if (use.name.empty()) use.name = constant->name;
        use.functions.insert(function->name);
        use.weight = constant->weight;
      }
    }
    std::map<std::string, std::vector<const Use*>> by_type;
    for (const auto& [weight, use] : uses) {
      stored += packed_size(weight->type()).value_or(0);
      by_type[to_string(weight->type())].push_back(&use);
    }
    DigestCache digests;
    for (const auto& [type, alike] : by_type) {
      if (alike.size() < 2 || functions.size() < 2) continue;
      std::map<Digest, std::vector<const Use*>> same;
      for (const Use* use : alike) {
        const Digest digest = use->weight->digest(digests);
        same[digest].push_back(use);
      }
      for (const auto& [digest, copies] : same) {
        for (size_t c = 1; c < copies.size(); ++c) {
          std::vector<std::string> both;
          for (const std::string& function : copies[c]->functions) {
            if (copies[0]->functions.count(function) > 0) both.push_back(function);
          }
          if (!both.empty()) continue;  // one function's own copies: nothing to share
          const uint64_t bytes = packed_size(copies[c]->weight->type()).value_or(0);
          twice += bytes;
          report.find(fmt::format("package {}, '{}' of {} and '{}' of {}", i, copies[0]->name,
                                  *copies[0]->functions.begin(), copies[c]->name,
                                  *copies[c]->functions.begin()),
                      fmt::format("{} with the same {} bytes are stored twice", type, bytes));
        }
      }
    }
  }
  if (!several) {
    report.does_not_apply("no package has several functions");
    return {};
  }
  report.note(fmt::format("{} bytes of weights, {} twice", stored, twice));
  return {};
}

}  // namespace diptych::verify
