#include "contract/model.h"

#include <algorithm>

namespace diptych::contract {

const RoleRow& row_of(Role role) {
  return *std::find_if(std::begin(kRoles), std::end(kRoles),
                       [role](const RoleRow& row) { return row.role == role; });
}

std::optional<Role> role_of(std::string_view method) {
  const size_t number = method.rfind('_');
  const bool numbered = number != method.npos && number + 1 < method.size() &&
                        method.find_first_not_of("0123456789", number + 1) == method.npos;
  const std::string_view name = numbered ? method.substr(0, number) : method;
  for (const RoleRow& row : kRoles) {
    if (row.role == Role::Single) continue;
    if (name == row.method || (!row.also.empty() && name == row.also)) return row.role;
  }
  return std::nullopt;
}

Method method_of(Role role, int64_t tokens) {
  const RoleRow& row = row_of(role);
  return {std::string(row.method), role, tokens, row.all_logits};
}

Method further_method_of(Role role, int64_t tokens) {
  Method method = method_of(role, tokens);
  method.name += fmt::format("_{}", tokens);
  return method;
}

namespace {
constexpr std::string_view kBeforeAdapter = "__";
}  // namespace

AdaptedName adapted_name(std::string_view method) {
  const size_t at = method.find(kBeforeAdapter);
  if (at == method.npos) return {method, {}};
  return {method.substr(0, at), method.substr(at + kBeforeAdapter.size())};
}

std::string with_adapter(std::string_view method, std::string_view adapter) {
  return adapter.empty() ? std::string(method)
                         : fmt::format("{}{}{}", method, kBeforeAdapter, adapter);
}

bool is_adapter_name(std::string_view name) {
  constexpr size_t kLongest = 64;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto may_be = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.size() <= kLongest && is_letter(name.front()) &&
         name.back() != '_' && std::all_of(name.begin(), name.end(), may_be) &&
         name.find(kBeforeAdapter) == name.npos;
}

size_t Model::rope_tables() const {
  size_t tables = 1;
  for (const std::optional<size_t> table : rope_of_layer) {
    if (table) tables = std::max(tables, *table + 1);
  }
  return tables;
}

Model uniform_model(size_t layers, int64_t cache_len) {
  Model model;
  model.classes = {{cache_len, {}}};
  model.class_of_layer.assign(layers, 0);
  model.rope_of_layer.assign(layers, 0);
  return model;
}

}  // namespace diptych::contract
