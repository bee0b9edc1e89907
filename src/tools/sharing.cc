#include "tools/sharing.h"

#include <algorithm>
#include <map>
#include <set>

namespace diptych::tools {

namespace {

struct Use {
  size_t package = 0;
  std::string name;
  std::set<std::string> functions;
  WeightRef weight;
};

std::vector<Use> uses_of(const Inspection& inspection) {
  std::vector<Use> uses;
  for (size_t i = 0; i < inspection.packages.size(); ++i) {
    const Package& package = inspection.packages[i];
    if (package.model == nullptr) continue;
    std::map<const Weight*, size_t> known;
    for (const auto& function : package.model->model.program.functions) {
      for (const mil::Value* constant : function->constants()) {
        if (constant->weight == nullptr) continue;
        const auto [at, is_new] = known.emplace(constant->weight.get(), uses.size());
        if (is_new) uses.push_back({i, constant->name, {}, constant->weight});
        uses[at->second].functions.insert(function->name);
      }
    }
  }
  return uses;
}

std::string described(const Use& use) {
  return fmt::format("package {}, '{}' of {}", use.package, use.name, *use.functions.begin());
}

// Finds why a weight is not used by all functions of its package.
class Reasons {
 public:
  Reasons(const Inspection& inspection, const std::vector<Use>& uses)
      : inspection_(inspection), uses_(uses) {
    for (const Use& use : uses) {
      by_name_[{use.package, use.name}].push_back(&use);
      by_type_[to_string(use.weight->type())].push_back(&use);
    }
  }

  void explain(const Use& use, StoredWeight& stored) {
    if (stored.bytes < kWorthSharing) return;
    const auto& functions = inspection_.packages[use.package].model->model.program.functions;
    if (use.functions.size() == functions.size() && functions.size() > 1) return;
    for (const Use* other : by_type_[to_string(use.weight->type())]) {
      if (other == &use || shares_function(use, *other) || !same_contents(use, *other)) continue;
      stored.why = Unshared::SameContents;
      stored.twin = described(*other);
      return;
    }
    if (functions.size() == 1) return;
    stored.why = Unshared::NoTwin;
    for (const Use* other : by_name_[{use.package, use.name}]) {
      if (other == &use || shares_function(use, *other)) continue;
      const bool same_shape = other->weight->shape() == use.weight->shape();
      stored.why = same_shape ? Unshared::OtherType : Unshared::OtherShape;
      stored.twin = described(*other);
    }
  }

 private:
  // A function's own copies are no matter of sharing between functions.
  static bool shares_function(const Use& a, const Use& b) {
    return a.package == b.package &&
           std::any_of(a.functions.begin(), a.functions.end(), [&](const std::string& function) {
             return b.functions.count(function) > 0;
           });
  }
  bool same_contents(const Use& a, const Use& b) {
    return a.weight->digest(digests_) == b.weight->digest(digests_);
  }

  const Inspection& inspection_;
  const std::vector<Use>& uses_;
  std::map<std::pair<size_t, std::string>, std::vector<const Use*>> by_name_;
  std::map<std::string, std::vector<const Use*>> by_type_;
  DigestCache digests_;
};

}  // namespace

std::string_view name(Unshared why) {
  switch (why) {
    case Unshared::No:
      return "";
    case Unshared::SameContents:
      return "the same bytes are stored again";
    case Unshared::OtherType:
      return "other functions have it in another format";
    case Unshared::OtherShape:
      return "other functions have it in another shape";
    case Unshared::NoTwin:
      return "other functions have none such";
  }
  return "";
}

Sharing sharing_of(const Inspection& inspection) {
  Sharing result;
  const std::vector<Use> uses = uses_of(inspection);
  Reasons reasons(inspection, uses);
  for (const Use& use : uses) {
    StoredWeight stored;
    stored.package = use.package;
    stored.name = use.name;
    stored.type = use.weight->type();
    stored.bytes = packed_size(stored.type).value_or(0);
    stored.functions.assign(use.functions.begin(), use.functions.end());
    reasons.explain(use, stored);
    result.bytes += stored.bytes;
    if (stored.functions.size() > 1) result.shared_bytes += stored.bytes;
    if (stored.why != Unshared::No) result.unshared_bytes += stored.bytes;
    result.weights.push_back(std::move(stored));
  }
  std::stable_sort(result.weights.begin(), result.weights.end(),
                   [](const StoredWeight& a, const StoredWeight& b) { return a.bytes > b.bytes; });
  return result;
}

}  // namespace diptych::tools
