#include "pte/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/utf8.h"

namespace diptych::pte {

namespace {

// Names are compared as C strings by the stock runtime, so a NUL would hide what follows it.
Status check_names(const std::vector<std::string_view>& names, std::string_view what) {
  std::set<std::string_view> seen;
  for (const std::string_view name : names) {
    if (name.empty()) return invalid_data("a {} is empty", what);
    if (!is_valid_utf8(name) || name.find('\0') != name.npos) {
      return invalid_data("a {} of {} bytes is not text", what, name.size());
    }
    if (!seen.insert(name).second) return invalid_data("{} '{}' occurs twice", what, name);
  }
  return {};
}

// Judges the parts of one method; `program` holds what its tensors refer to.
class MethodChecker {
 public:
  MethodChecker(const Program& program, const Method& method)
      : program_(program), method_(method) {}

  Status check() const {
    for (size_t i = 0; i < method_.values.size(); ++i) {
      auto checked =
          std::visit([&](const auto& value) { return check_value(value); }, method_.values[i]);
      if (!checked) return within(fmt::format("value {}", i), std::move(checked));
    }
    TRY(within("inputs", indices(method_.inputs)));
    TRY(within("outputs", indices(method_.outputs)));
    for (size_t i = 0; i < method_.instructions.size(); ++i) {
      auto checked =
          std::visit([&](const auto& call) { return check_call(call); }, method_.instructions[i]);
      if (!checked) return within(fmt::format("instruction {}", i), std::move(checked));
    }
    return check_arenas();
  }

 private:
  Status index(int64_t i, size_t count, std::string_view what) const {
    if (i >= 0 && static_cast<uint64_t>(i) < count) return {};
    return invalid_data("{} {} does not exist, there are {}", what, i, count);
  }
  Status value_index(int64_t i) const { return index(i, method_.values.size(), "value"); }
  template <class T>
  Status indices(const std::vector<T>& items) const {
    for (const T i : items) TRY(value_index(i));
    return {};
  }

  template <class Literal>
  Status check_value(const Literal&) const {
    return {};
  }
  Status check_value(const IntList& list) const { return indices(list.items); }
  Status check_value(const TensorList& list) const {
    for (const int32_t i : list.items) {
      TRY(value_index(i));
      if (!std::holds_alternative<Tensor>(method_.values[static_cast<size_t>(i)])) {
        return invalid_data("a list of tensors holds value {}, which is none", i);
      }
    }
    return {};
  }
  Status check_value(const OptionalTensorList& list) const {
    for (const int32_t i : list.items) {
      if (i == -1) continue;
      TRY(value_index(i));
      const EValue& value = method_.values[static_cast<size_t>(i)];
      if (!std::holds_alternative<Tensor>(value) && !std::holds_alternative<None>(value)) {
        return invalid_data("a list of optional tensors holds value {}, which is neither", i);
      }
    }
    return {};
  }

  Status check_value(const Tensor& tensor) const {
    if (!is_known(tensor.scalar_type)) {
      return unsupported("scalar type {} is not known", static_cast<int>(tensor.scalar_type));
    }
    if (tensor.sizes.size() > kMaxRank) {
      return invalid_data("tensor of rank {}, at most {} is possible", tensor.sizes.size(),
                          kMaxRank);
    }
    for (const int64_t size : tensor.sizes) {
      if (size < 0 || size > std::numeric_limits<int32_t>::max()) {
        return invalid_data("tensor of shape {}: size {} is out of range", to_string(tensor.sizes),
                            size);
      }
    }
    TRY(check_dim_order(tensor));
    const uint64_t bytes = TRY(byte_size(tensor));
    if (tensor.data > 0 && !tensor.is_external()) TRY(check_data(tensor, bytes));
    if (tensor.allocation) TRY(check_allocation(*tensor.allocation, bytes));
    return {};
  }

  Status check_dim_order(const Tensor& tensor) const {
    std::vector<uint8_t> sorted = tensor.dim_order;
    std::sort(sorted.begin(), sorted.end());
    bool permutation = sorted.size() == tensor.sizes.size();
    for (size_t i = 0; permutation && i < sorted.size(); ++i) permutation = sorted[i] == i;
    if (permutation) return {};
    return invalid_data("tensor of shape {}: dim_order [{}] does not name each axis once",
                        to_string(tensor.sizes), fmt::join(tensor.dim_order, ","));
  }

  Status check_data(const Tensor& tensor, uint64_t bytes) const {
    const bool is_mutable = tensor.allocation.has_value();
    const std::vector<Blob>& entries = is_mutable ? program_.initial_states : program_.constants;
    TRY(index(tensor.data, entries.size(), is_mutable ? "initial state" : "constant"));
    if (bytes <= entries[tensor.data].size()) return {};
    return invalid_data("tensor of shape {} takes {} bytes, its data (entry {}) has {}",
                        to_string(tensor.sizes), bytes, tensor.data, entries[tensor.data].size());
  }

  Status check_allocation(const Allocation& place, uint64_t bytes) const {
    if (place.memory_id == 0) return invalid_data("memory id 0 is reserved");
    TRY(index(place.memory_id, method_.arena_sizes.size(), "arena"));
    const int64_t arena = method_.arena_sizes[place.memory_id];
    if (arena >= 0 && range_fits(place.offset, bytes, static_cast<uint64_t>(arena))) return {};
    return invalid_data("{} bytes at {} exceed arena {} of {} bytes", bytes, place.offset,
                        place.memory_id, arena);
  }

  Status check_call(const KernelCall& call) const {
    TRY(index(call.op, method_.operators.size(), "operator"));
    return indices(call.args);
  }
  Status check_call(const DelegateCall& call) const {
    TRY(index(call.delegate, method_.delegates.size(), "delegate"));
    return indices(call.args);
  }
  Status check_call(const MoveCall& call) const {
    TRY(value_index(call.from));
    return value_index(call.to);
  }
  Status check_call(const JumpFalseCall& call) const {
    TRY(value_index(call.condition));
    return index(call.destination, method_.instructions.size(), "instruction");
  }
  Status check_call(const FreeCall& call) const { return value_index(call.value); }

  Status check_arenas() const {
    for (const int64_t size : method_.arena_sizes) {
      if (size < 0) return invalid_data("an arena has {} bytes", size);
    }
    for (const ArenaDevice& entry : method_.arena_devices) {
      TRY(index(entry.arena, method_.arena_sizes.size(), "arena"));
    }
    return {};
  }

  const Program& program_;
  const Method& method_;
};

Status check_placeholder(const std::vector<Blob>& entries, std::string_view what) {
  if (!entries.empty() && entries[0].size() == 0) return {};
  return invalid_data("{} 0 is a placeholder and must be there and empty", what);
}

}  // namespace

Status check(const Program& program) {
  std::vector<std::string_view> names, keys;
  for (const Method& method : program.methods) names.push_back(method.name);
  for (const NamedData& entry : program.named_data) keys.push_back(entry.key);
  TRY(check_names(names, "method name"));
  TRY(check_names(keys, "named-data key"));
  TRY(check_placeholder(program.constants, "constant"));
  TRY(check_placeholder(program.initial_states, "initial state"));
  for (const Method& method : program.methods) {
    auto checked = MethodChecker(program, method).check();
    if (!checked) return within(fmt::format("method '{}'", method.name), std::move(checked));
  }
  return {};
}

}  // namespace diptych::pte
