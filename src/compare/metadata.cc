#include "compare/metadata.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "coreml/delegate.h"
#include "pte/constant_method.h"

namespace diptych::compare {

namespace {

using ConstantValues = std::vector<pte::ConstantValue>;

constexpr std::string_view kLacking = "-";
constexpr size_t kShownElements = 16;
constexpr uint64_t kLeastElements = 10;  // of a weight; others are shapes and numbers

// The elements as texts, as far as their type has any.
std::vector<std::string> elements(const pte::ConstantTensor& tensor) {
  std::vector<std::string> texts;
  if (is_float(tensor.type.dtype)) {
    const auto weight = mapped_weight(tensor.type, tensor.bytes, nullptr);
    const auto floats = weight ? read_floats(**weight) : Result<std::vector<float>>();
    if (floats) {
      for (const float element : *floats) texts.push_back(fmt::format("{:.6g}", element));
    }
  } else if (const auto ints = pte::to_ints(tensor)) {
    for (const int64_t element : *ints) texts.push_back(std::to_string(element));
  }
  return texts;
}

bool same(const pte::ConstantValue& a, const pte::ConstantValue& b) {
  if (a.index() != b.index()) return false;
  if (const auto* x = std::get_if<pte::ConstantTensor>(&a)) {
    const auto& y = std::get<pte::ConstantTensor>(b);
    return x->type == y.type &&
           std::equal(x->bytes.begin(), x->bytes.end(), y.bytes.begin(), y.bytes.end());
  }
  return pte::to_string(a) == pte::to_string(b);
}

// The value in words; of a longer tensor its first element that is not the other's.
std::string text_of(const pte::ConstantValue& value, const pte::ConstantValue* other) {
  const auto* tensor = std::get_if<pte::ConstantTensor>(&value);
  if (tensor == nullptr) return pte::to_string(value);
  const std::vector<std::string> mine = elements(*tensor);
  if (mine.empty()) return to_string(tensor->type);
  if (mine.size() <= kShownElements) {
    return fmt::format("{} {}", to_string(tensor->type), fmt::join(mine, ","));
  }
  const auto* others = other == nullptr ? nullptr : std::get_if<pte::ConstantTensor>(other);
  if (others == nullptr) return to_string(tensor->type);
  const std::vector<std::string> theirs = elements(*others);
  const auto at = std::mismatch(mine.begin(), mine.end(), theirs.begin(), theirs.end()).first;
  if (at == mine.end()) return to_string(tensor->type);
  return fmt::format("{}, {} at element {}", to_string(tensor->type), *at, at - mine.begin());
}

std::string text_of(const ConstantValues& values, const ConstantValues* others) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < values.size(); ++i) {
    texts.push_back(
        text_of(values[i], others != nullptr && i < others->size() ? &(*others)[i] : nullptr));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::map<std::string, ConstantValues> constants_of(const pte::Program& file) {
  std::map<std::string, ConstantValues> constants;
  for (const pte::Method& method : file.methods) {
    if (!pte::is_constant_method(method)) continue;
    if (auto values = pte::constant_values(file, method)) {
      constants.emplace(method.name, std::move(*values));
    }
  }
  return constants;
}

// Each weight once, however many functions use it.
uint64_t weight_bytes(const Subject& subject) {
  std::set<const Weight*> seen;
  uint64_t bytes = 0;
  for (const auto& function : subject.functions) {
    for (const mil::Value* constant : function->function().constants()) {
      if (constant->weight != nullptr && constant->weight->elements() >= kLeastElements &&
          seen.insert(constant->weight.get()).second) {
        bytes += packed_size(constant->weight->type()).value_or(0);
      }
    }
  }
  return bytes;
}

// Named data that no delegate refers to.
std::map<std::string, Bytes> data_of(const pte::Program& file) {
  std::set<std::string> packages;
  for (const pte::Method& method : file.methods) {
    for (const pte::Delegate& delegate : method.delegates) {
      if (!coreml::is_reference(delegate.processed.bytes())) continue;
      if (const auto reference = coreml::parse_reference(delegate.processed.bytes())) {
        packages.insert(reference->key);
      }
    }
  }
  std::map<std::string, Bytes> data;
  for (const pte::NamedData& entry : file.named_data) {
    if (packages.count(entry.key) == 0) data.emplace(entry.key, entry.data.bytes());
  }
  return data;
}

// Calls `tell` for each name of either side with what the sides have, or null.
template <class T, class Tell>
void for_each(const std::map<std::string, T>& a, const std::map<std::string, T>& b,
              const Tell& tell) {
  for (const auto& [name, value] : a) {
    const auto other = b.find(name);
    tell(name, &value, other == b.end() ? nullptr : &other->second);
  }
  for (const auto& [name, value] : b) {
    if (a.count(name) == 0) tell(name, static_cast<const T*>(nullptr), &value);
  }
}

}  // namespace

std::vector<MetadataDifference> metadata_differences(const Subject& a, const Subject& b) {
  std::vector<MetadataDifference> rows;
  if (const uint64_t x = weight_bytes(a), y = weight_bytes(b); x != y) {
    rows.push_back({"bytes of weights", std::to_string(x), std::to_string(y)});
  }
  if (a.program == nullptr || b.program == nullptr) return rows;
  const pte::Program &one = a.program->container(), &two = b.program->container();
  for_each(constants_of(one), constants_of(two),
           [&](const std::string& name, const ConstantValues* x, const ConstantValues* y) {
             if (x != nullptr && y != nullptr &&
                 std::equal(x->begin(), x->end(), y->begin(), y->end(), same)) {
               return;
             }
             rows.push_back({name, x == nullptr ? std::string(kLacking) : text_of(*x, y),
                             y == nullptr ? std::string(kLacking) : text_of(*y, x)});
           });
  for_each(
      data_of(one), data_of(two), [&](const std::string& name, const Bytes* x, const Bytes* y) {
        const auto size = [](const Bytes* data) {
          return data == nullptr ? std::string(kLacking) : fmt::format("{} bytes", data->size());
        };
        if (x != nullptr && y != nullptr &&
            std::equal(x->begin(), x->end(), y->begin(), y->end())) {
          return;
        }
        rows.push_back({name, size(x), size(y)});
      });
  return rows;
}

}  // namespace diptych::compare
