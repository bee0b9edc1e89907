#include "checkpoint/model_parallel.h"

#include <algorithm>
#include <unordered_map>

#include "base/in_quotes.h"
#include "tensor/views.h"

namespace diptych::checkpoint {

namespace {

// How a tensor is divided over the parts.
enum class Division : uint8_t { Same, Rows, Columns, Embedding };

struct DividedName {
  std::string_view ending;
  Division division;
};
constexpr DividedName kDivided[] = {
    {"tok_embeddings.weight", Division::Embedding}, {"output.weight", Division::Rows},
    {"attention.wq.weight", Division::Rows},        {"attention.wk.weight", Division::Rows},
    {"attention.wv.weight", Division::Rows},        {"attention.wq.bias", Division::Rows},
    {"attention.wk.bias", Division::Rows},          {"attention.wv.bias", Division::Rows},
    {"attention.wo.weight", Division::Columns},     {"feed_forward.w1.weight", Division::Rows},
    {"feed_forward.w2.weight", Division::Columns},  {"feed_forward.w3.weight", Division::Rows},
};

Division division_of(std::string_view name) {
  for (const DividedName& divided : kDivided) {
    if (name.ends_with(divided.ending)) return divided.division;
  }
  return Division::Same;
}

Result<WeightRef> join(Division division, std::vector<WeightRef> pieces, const WeightRef& norm) {
  const size_t rank = pieces.front()->shape().size();
  if (division == Division::Same) return pieces.front();
  if (division == Division::Embedding) {
    if (rank != 2) return invalid_data("expected a matrix, found {} axes", rank);
    if (!norm || norm->shape().size() != 1) {
      return invalid_data("there is no norm.weight to tell how it is divided");
    }
    division = pieces.front()->shape()[1] == norm->shape()[0] ? Division::Rows : Division::Columns;
  }
  if (rank < (division == Division::Columns ? 2 : 1) || rank > 2) {
    return invalid_data("expected a matrix, found {} axes", rank);
  }
  // Sizes of real files are far from overflowing when added up; hostile ones are told here.
  const auto parts = static_cast<int64_t>(pieces.size());
  const int64_t divided = pieces.front()->shape()[division == Division::Columns ? 1 : 0];
  if (divided > INT64_MAX / parts) return invalid_data("a size of {}", divided);
  TensorType whole = pieces.front()->type();
  whole.shape[division == Division::Columns ? 1 : 0] = divided * parts;
  TRY(packed_size(whole));
  return division == Division::Columns ? concat_columns(std::move(pieces))
                                       : concat_rows(std::move(pieces));
}

}  // namespace

Result<Checkpoint> join_parts(std::vector<Checkpoint> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  std::vector<std::unordered_map<std::string_view, WeightRef>> by_name;
  for (const Checkpoint& part : parts) {
    by_name.emplace_back(part.tensors.begin(), part.tensors.end());
  }
  Error problems{ErrorCode::InvalidData, {}, "the parts do not fit together", {}};
  std::vector<NamedWeight> joined;
  const WeightRef norm = parts.front().find("norm.weight");
  for (const auto& [name, first] : parts.front().tensors) {
    std::vector<WeightRef> pieces;
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto found = by_name[i].find(name);
      if (found == by_name[i].end()) {
        problems.items.push_back(
            fmt::format("{}: missing in {}", in_quotes(name), parts[i].source));
      } else if (found->second->type() != first->type()) {
        problems.items.push_back(fmt::format("{}: {} in {}, {} in {}", in_quotes(name),
                                             to_string(first->type()), parts.front().source,
                                             to_string(found->second->type()), parts[i].source));
      } else {
        pieces.push_back(found->second);
      }
    }
    if (pieces.size() != parts.size()) continue;
    joined.emplace_back(
        name, TRY(within(in_quotes(name), join(division_of(name), std::move(pieces), norm))));
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    for (const auto& [name, weight] : parts[i].tensors) {
      if (by_name.front().contains(name)) continue;
      problems.items.push_back(
          fmt::format("{}: missing in {}", in_quotes(name), parts.front().source));
    }
  }
  if (!problems.items.empty()) return tl::unexpected(std::move(problems));
  Checkpoint whole = std::move(parts.front());
  whole.tensors = std::move(joined);
  return whole;
}

}  // namespace diptych::checkpoint
