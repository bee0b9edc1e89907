#include "tools/sharing.h"

#include <algorithm>
#include <map>

#include "contract/model.h"
#include "passes/sharing.h"

namespace diptych::tools {

namespace {

using passes::StoredWeight;

// The packages that can be read, and who runs their functions.
struct Users {
  std::vector<passes::UsedPackage> packages;
  std::vector<size_t> numbers;  // of the packages in the inspection
  std::vector<std::string_view> adapters;
};

Users users_of(const Inspection& inspection) {
  Users users;
  std::map<const mil::Function*, std::vector<size_t>> methods;
  const auto add_method = [&](std::string_view name) {
    users.adapters.push_back(contract::adapted_name(name).adapter);
    return users.adapters.size() - 1;
  };
  for (const MethodSummary& method : inspection.methods) {
    const size_t number = add_method(method.name);
    for (const Partition& partition : method.partitions) {
      methods[partition.function].push_back(number);
    }
  }
  for (size_t i = 0; i < inspection.packages.size(); ++i) {
    const Package& package = inspection.packages[i];
    if (package.model == nullptr) continue;
    passes::UsedPackage& used = users.packages.emplace_back();
    users.numbers.push_back(i);
    used.program = &package.model->model.program;
    for (const auto& function : used.program->functions) {
      // A Core ML model has no methods: who runs it calls its functions.
      if (inspection.is_model) methods[function.get()] = {add_method(function->name)};
      used.methods.push_back(methods[function.get()]);
    }
  }
  return users;
}

// Finds why a weight is not shared.
class Reasons {
 public:
  Reasons(const Users& users, const std::vector<StoredWeight>& weights) : users_(users) {
    for (const StoredWeight& weight : weights) {
      by_name_[{weight.package, weight.name}].push_back(&weight);
      by_type_[to_string(weight.weight->type())].push_back(&weight);
    }
  }

  std::string function(const StoredWeight& weight, size_t index) const {
    return users_.packages[weight.package].program->functions[index]->name;
  }

  void explain(const StoredWeight& weight, FileWeight& told) {
    const auto& functions = users_.packages[weight.package].program->functions;
    if (weight.functions.size() == functions.size() && !weight.unshared) return;
    for (const StoredWeight* other : by_type_[to_string(weight.weight->type())]) {
      const bool could_share = weight.unshared || weight.package == other->package;
      if (!could_share || shares_function(weight, *other) || !same_contents(weight, *other)) {
        continue;
      }
      told.why = Unshared::SameContents;
      told.twin = described(*other);
      return;
    }
    if (!weight.unshared) return;
    told.why = Unshared::NoTwin;
    for (const StoredWeight* other : by_name_[{weight.package, weight.name}]) {
      if (shares_function(weight, *other)) continue;
      const bool same_shape = other->weight->shape() == weight.weight->shape();
      told.why = same_shape ? Unshared::OtherType : Unshared::OtherShape;
      told.twin = described(*other);
    }
  }

 private:
  std::string described(const StoredWeight& weight) const {
    return fmt::format("package {}, '{}' of {}", users_.numbers[weight.package], weight.name,
                       function(weight, weight.functions.front()));
  }
  // A function's own copies are no matter of sharing between functions.
  static bool shares_function(const StoredWeight& a, const StoredWeight& b) {
    return a.package == b.package &&
           std::any_of(a.functions.begin(), a.functions.end(), [&](size_t function) {
             return std::binary_search(b.functions.begin(), b.functions.end(), function);
           });
  }
  bool same_contents(const StoredWeight& a, const StoredWeight& b) {
    return a.weight->digest(digests_) == b.weight->digest(digests_);
  }

  const Users& users_;
  std::map<std::pair<size_t, std::string>, std::vector<const StoredWeight*>> by_name_;
  std::map<std::string, std::vector<const StoredWeight*>> by_type_;
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
  const Users users = users_of(inspection);
  const std::vector<StoredWeight> weights = passes::stored_weights(users.packages, users.adapters);
  Reasons reasons(users, weights);
  for (const StoredWeight& weight : weights) {
    FileWeight& told = result.weights.emplace_back();
    told.package = users.numbers[weight.package];
    told.name = weight.name;
    told.type = weight.weight->type();
    told.bytes = weight.bytes;
    for (const size_t function : weight.functions) {
      told.functions.push_back(reasons.function(weight, function));
    }
    std::sort(told.functions.begin(), told.functions.end());
    reasons.explain(weight, told);
    result.bytes += told.bytes;
    if (told.functions.size() > 1) result.shared_bytes += told.bytes;
    if (told.why != Unshared::No) result.unshared_bytes += told.bytes;
  }
  std::stable_sort(result.weights.begin(), result.weights.end(),
                   [](const FileWeight& a, const FileWeight& b) { return a.bytes > b.bytes; });
  return result;
}

}  // namespace diptych::tools
