#include "engine/token_axes.h"

#include <algorithm>
#include <numeric>

#include "engine/kernels.h"
#include "mil/params.h"

namespace diptych::engine {

Result<TokenAxes> TokenAxes::find(const mil::Function& function,
                                  const std::vector<TokenAxis>& of_inputs) {
  TokenAxes axes;
  for (size_t i = 0; i < std::min(of_inputs.size(), function.inputs.size()); ++i) {
    if (!of_inputs[i]) continue;
    const mil::Value& input = *function.inputs[i];
    const Shape& shape = input.type.shape;
    if (*of_inputs[i] >= shape.size()) {
      return invalid_argument("input '{}': {} has no axis {} for tokens", input.name,
                              to_string(input.type), *of_inputs[i]);
    }
    const int64_t size = shape[*of_inputs[i]];
    if (axes.tokens_ != 0 && size != axes.tokens_) {
      return invalid_argument("input '{}': {} tokens along axis {} of {}, another input has {}",
                              input.name, size, *of_inputs[i], to_string(input.type), axes.tokens_);
    }
    axes.tokens_ = size;
    axes.mark(input, of_inputs[i]);
  }
  if (axes.tokens_ == 0) return axes;
  for (const auto& op : function.ops) {
    const Kernel* kernel = find_kernel(op->type);
    if (kernel == nullptr) continue;
    for (size_t i = 0; i < op->results.size(); ++i) {
      axes.mark(*op->results[i], kernel->token_axis(*op, i, axes));
    }
  }
  return axes;
}

TokenAxis TokenAxes::of(const mil::Value& value) const {
  const auto found = axes_.find(&value);
  return found == axes_.end() ? TokenAxis() : found->second;
}

void TokenAxes::mark(const mil::Value& value, TokenAxis axis) {
  const Shape& shape = value.type.shape;
  if (axis && *axis < shape.size() && shape[*axis] == tokens_) axes_.emplace(&value, *axis);
}

namespace {

size_t rank_of(const mil::Value& value) { return value.type.shape.size(); }

// The parameter `param` as an axis of a tensor of so many axes; nothing when it is none.
TokenAxis axis_param(const mil::Op& op, std::string_view param, size_t rank, int64_t fallback) {
  const auto given = mil::int_param(op, param, fallback);
  if (!given) return {};
  const auto axis = mil::resolve_axis(*given, static_cast<int64_t>(rank));
  return axis ? TokenAxis(static_cast<size_t>(*axis)) : TokenAxis();
}

// What several operands say of one result: nothing when they disagree.
class Agreement {
 public:
  void add(TokenAxis axis) {
    if (!axis) return;
    agree_ = agree_ && (!axis_ || axis_ == axis);
    axis_ = axis;
  }
  TokenAxis axis() const { return agree_ ? axis_ : TokenAxis(); }

 private:
  TokenAxis axis_;
  bool agree_ = true;
};

// The axis of a result that an operand's axis is broadcast to.
TokenAxis broadcast_axis(const mil::Value& operand, const mil::Value& result,
                         const TokenAxes& axes) {
  const TokenAxis axis = axes.of(operand);
  if (!axis) return {};
  return *axis + rank_of(result) - rank_of(operand);
}

int64_t elements_before(const Shape& shape, size_t axis) {
  return std::accumulate(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(axis),
                         int64_t{1}, std::multiplies<>());
}

}  // namespace

TokenAxis no_token_axis(const mil::Op&, size_t, const TokenAxes&) { return {}; }

TokenAxis elementwise_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes) {
  Agreement agreement;
  for (const mil::Operand& operand : op.operands) {
    for (const mil::Value* value : operand.values) {
      agreement.add(broadcast_axis(*value, *op.results[result], axes));
    }
  }
  return agreement.axis();
}

TokenAxis passed_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes) {
  const auto& values = op.operand_list("values");
  return result < values.size() ? axes.of(*values[result]) : TokenAxis();
}

TokenAxis row_token_axis(const mil::Op& op, size_t, const TokenAxes& axes) {
  const mil::Value& x = *op.operand("x");
  const TokenAxis axis = axes.of(x), row = axis_param(op, "axis", rank_of(x), -1);
  return axis == row ? TokenAxis() : axis;
}

TokenAxis attention_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes) {
  const mil::Value& q = *op.operand("q");            // [1, heads, rows, head_dim]
  const size_t rank = rank_of(*op.results[result]);  // [1, rows, heads * head_dim]
  return axes.of(q) == rank_of(q) - 2 ? TokenAxis(rank - 2) : TokenAxis();
}

TokenAxis concat_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes) {
  const auto& values = op.operand_list("values");
  if (values.size() == 1) return axes.of(*values[0]);
  Agreement agreement;
  for (const mil::Value* value : values) agreement.add(axes.of(*value));
  const TokenAxis axis = agreement.axis();
  return axis == axis_param(op, "axis", rank_of(*op.results[result]), 0) ? TokenAxis() : axis;
}

// The axis that is gathered along gives place to those of the indices.
TokenAxis gather_token_axis(const mil::Op& op, size_t, const TokenAxes& axes) {
  const mil::Value &x = *op.operand("x"), &indices = *op.operand("indices");
  const TokenAxis along = axis_param(op, "axis", rank_of(x), 0);
  if (!along || mil::int_param(op, "batch_dims", 0).value_or(1) != 0) return {};
  Agreement agreement;
  if (const TokenAxis axis = axes.of(indices)) agreement.add(*along + *axis);
  if (const TokenAxis axis = axes.of(x); axis && axis != along) {
    agreement.add(*axis < *along ? *axis : *axis + rank_of(indices) - 1);
  }
  return agreement.axis();
}

TokenAxis matmul_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes) {
  const size_t rank = rank_of(*op.results[result]);
  Agreement agreement;
  const auto add = [&](const char* param, const char* transposed, bool gives_rows) {
    const mil::Value& value = *op.operand(param);
    const TokenAxis axis = axes.of(value);
    if (!axis || rank_of(value) < 2 || rank < 2) return;
    const size_t from_end = rank_of(value) - *axis;  // 1: columns, 2: rows
    if (from_end > 2) return agreement.add(rank - from_end);
    const bool is_transposed = mil::bool_param(op, transposed, false).value_or(false);
    const bool in_rows = (from_end == 2) != is_transposed;
    if (in_rows == gives_rows) agreement.add(gives_rows ? rank - 2 : rank - 1);
  };
  add("x", "transpose_x", true);
  add("y", "transpose_y", false);
  return agreement.axis();
}

TokenAxis reduce_token_axis(const mil::Op& op, size_t, const TokenAxes& axes) {
  const mil::Value& x = *op.operand("x");
  const TokenAxis axis = axes.of(x);
  const auto rank = static_cast<int64_t>(rank_of(x));
  std::vector<int64_t> all(static_cast<size_t>(rank));
  std::iota(all.begin(), all.end(), 0);
  const auto given = mil::ints_param(op, "axes", all);
  if (!axis || !given) return {};
  const auto reduced = mil::resolve_axes(*given, rank);
  const bool kept = mil::bool_param(op, "keep_dims", false).value_or(false);
  if (!reduced) return {};
  size_t before = 0;
  for (const int64_t each : *reduced) {
    if (static_cast<size_t>(each) == *axis) return {};
    before += static_cast<size_t>(each) < *axis ? 1 : 0;
  }
  return kept ? *axis : *axis - before;
}

// The same elements before each slice and in it: then the slices are the same.
TokenAxis reshape_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes) {
  const mil::Value& x = *op.operand("x");
  const TokenAxis axis = axes.of(x);
  if (!axis) return {};
  const Shape& shape = op.results[result]->type.shape;
  const int64_t size = x.type.shape[*axis], before = elements_before(x.type.shape, *axis);
  const auto fits = [&](size_t i) {
    return i < shape.size() && shape[i] == size && elements_before(shape, i) == before;
  };
  if (fits(*axis)) return axis;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (fits(i)) return i;
  }
  return {};
}

TokenAxis slice_token_axis(const mil::Op& op, size_t, const TokenAxes& axes) {
  const mil::Value& x = *op.operand("x");
  const TokenAxis axis = axes.of(x);
  const auto slices = mil::resolve_slice(op);
  if (!axis || !slices) return {};
  const mil::SliceAxis& slice = (*slices)[*axis];
  if (slice.squeeze || slice.begin != 0 || slice.stride != 1) return {};
  const auto squeezed =
      std::count_if(slices->begin(), slices->begin() + static_cast<std::ptrdiff_t>(*axis),
                    [](const mil::SliceAxis& each) { return each.squeeze; });
  return *axis - static_cast<size_t>(squeezed);
}

TokenAxis stack_token_axis(const mil::Op& op, size_t result, const TokenAxes& axes) {
  Agreement agreement;
  for (const mil::Value* value : op.operand_list("values")) agreement.add(axes.of(*value));
  const TokenAxis axis = agreement.axis();
  const TokenAxis added = axis_param(op, "axis", rank_of(*op.results[result]), 0);
  if (!axis || !added) return {};
  return *axis < *added ? *axis : *axis + 1;
}

TokenAxis transpose_token_axis(const mil::Op& op, size_t, const TokenAxes& axes) {
  const mil::Value& x = *op.operand("x");
  const TokenAxis axis = axes.of(x);
  const auto perm = mil::ints_param(op, "perm");
  if (!axis || !perm) return {};
  for (size_t i = 0; i < perm->size(); ++i) {
    const auto from = mil::resolve_axis((*perm)[i], static_cast<int64_t>(rank_of(x)));
    if (from && static_cast<size_t>(*from) == *axis) return i;
  }
  return {};
}

}  // namespace diptych::engine
