#include "passes/share_constants.h"

#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <vector>

namespace diptych::passes {

namespace {

// Above this, comparing contents costs more than it saves.
constexpr uint64_t kMaxBytes = 1 << 20;
// Constants of more elements are a model's weights, which keep their names.
constexpr uint64_t kMaxElements = 8;

// A name for whatever uses it: "bool_true", "int32_1", of lists "int32s_1_0".
Result<std::string> name_by_content(const mil::Value& constant) {
  std::string name(diptych::name(constant.type.dtype));
  if (!constant.type.shape.empty()) name += "s";
  for (const int64_t element : TRY(mil::constant_ints(constant))) {
    if (constant.type.dtype == DType::Bool) {
      name += element != 0 ? "_true" : "_false";
    } else {
      name += fmt::format("_{}{}", element < 0 ? "minus" : "", std::abs(element));
    }
  }
  return name;
}

// Equal constants of few elements become the first of them. Equal ones share a weight.
Status share_values(mil::Function& function) {
  std::map<std::pair<const Weight*, std::string_view>, mil::Value*> first;
  std::vector<mil::Value*> shared;  // in the order of their second users
  for (const auto& op : function.ops) {
    for (mil::Operand& operand : op->operands) {
      for (mil::Value*& value : operand.values) {
        if (!value->is_constant()) continue;
        if (value->weight && value->weight->elements() > kMaxElements) continue;
        const std::pair key(value->weight.get(), std::string_view(value->text));
        mil::Value* const found = first.emplace(key, value).first->second;
        if (found != value) shared.push_back(found);
        value = found;
      }
    }
  }
  for (mil::Value* value : shared) {
    if (value->type.dtype != DType::Bool && value->type.dtype != DType::Int32) continue;
    function.rename(value, TRY(name_by_content(*value)));
  }
  return {};
}

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
  for (const auto& function : program.functions) TRY(share_values(*function));
  return {};
}

}  // namespace diptych::passes
