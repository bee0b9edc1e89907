#include "mil/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace diptych::mil {
namespace {

// Lists longer than this are no axes, shapes or split sizes; the bound also keeps a constant that
// claims to be huge from being read.
constexpr uint64_t kMaxListLength = 4096;

// The constant bound to `param`, checked to be a scalar or a short list, or to have `most_axes`.
Result<const Value*> constant_param(const Op& op, std::string_view param, int64_t most_axes = 1) {
  const Value* value = op.operand(param);
  if (value == nullptr) return invalid_data("parameter '{}': missing", param);
  value = &uncast(*value);
  if (!value->is_constant()) {
    return invalid_data("parameter '{}': expected a constant, found the computed value %{}", param,
                        value->name);
  }
  const auto count = element_count(value->type.shape);
  if (value->type.rank() > most_axes || !count || *count > kMaxListLength) {
    return invalid_data("parameter '{}': expected a scalar or a list of at most {}, found {}",
                        param, kMaxListLength, to_string(value->type));
  }
  if (value->type.dtype != DType::String && value->weight == nullptr) {
    return invalid_data("parameter '{}': the constant %{} has no contents", param, value->name);
  }
  return value;
}

bool is_parameter_integer(DType dtype) {
  return is_integer(dtype) && !is_sub_byte(dtype) && bit_width(dtype) <= 32;
}

Result<int64_t> single(std::string_view param, const std::vector<int64_t>& values) {
  if (values.size() != 1) {
    return invalid_data("parameter '{}': expected one value, found {}", param, values.size());
  }
  return values.front();
}

}  // namespace

const Value& uncast(const Value& value) {
  constexpr int kMostCasts = 4;  // bounds what a parameter costs
  const Value* at = &value;
  for (int i = 0; i < kMostCasts; ++i) {
    const bool is_cast = at->kind == Value::Kind::Result && at->producer->type == "cast";
    const Value* x = is_cast ? at->producer->operand("x") : nullptr;
    if (x == nullptr) break;
    at = x;
  }
  return *at;
}

Result<std::vector<int64_t>> ints_param(const Op& op, std::string_view param) {
  const Value* value = TRY(constant_param(op, param));
  if (!is_parameter_integer(value->type.dtype) && value->type.dtype != DType::Bool) {
    return invalid_data("parameter '{}': expected int32 or bool, found {}", param,
                        to_string(value->type));
  }
  return constant_ints(*value);
}

Result<std::vector<int64_t>> ints_param(const Op& op, std::string_view param,
                                        std::vector<int64_t> fallback) {
  if (op.operand(param) == nullptr) return fallback;
  return ints_param(op, param);
}

Result<int64_t> int_param(const Op& op, std::string_view param) {
  return single(param, TRY(ints_param(op, param)));
}

Result<int64_t> int_param(const Op& op, std::string_view param, int64_t fallback) {
  if (op.operand(param) == nullptr) return fallback;
  return int_param(op, param);
}

Result<bool> bool_param(const Op& op, std::string_view param, bool fallback) {
  if (op.operand(param) == nullptr) return fallback;
  const Value* value = TRY(constant_param(op, param));
  if (value->type.dtype != DType::Bool) {
    return invalid_data("parameter '{}': expected bool, found {}", param, to_string(value->type));
  }
  return TRY(single(param, TRY(constant_ints(*value)))) != 0;
}

Result<std::string> string_param(const Op& op, std::string_view param) {
  const Value* value = TRY(constant_param(op, param));
  if (value->type.dtype != DType::String) {
    return invalid_data("parameter '{}': expected a string, found {}", param,
                        to_string(value->type));
  }
  return constant_string(*value);
}

Result<std::string> string_param(const Op& op, std::string_view param, std::string fallback) {
  if (op.operand(param) == nullptr) return fallback;
  return string_param(op, param);
}

Result<std::vector<int64_t>> table_param(const Op& op, std::string_view param) {
  const Value* value = TRY(constant_param(op, param, 2));
  if (!is_parameter_integer(value->type.dtype)) {
    return invalid_data("parameter '{}': expected integers, found {}", param,
                        to_string(value->type));
  }
  return constant_ints(*value);
}

Result<double> number_param(const Op& op, std::string_view param) {
  const Value* value = TRY(constant_param(op, param));
  if (!is_float(value->type.dtype)) return static_cast<double>(TRY(int_param(op, param)));
  return float_param(op, param, 0);
}

Result<double> number_param(const Op& op, std::string_view param, double fallback) {
  if (op.operand(param) == nullptr) return fallback;
  return number_param(op, param);
}

Result<double> float_param(const Op& op, std::string_view param, double fallback) {
  if (op.operand(param) == nullptr) return fallback;
  const Value* value = TRY(constant_param(op, param));
  const auto count = element_count(value->type.shape);
  if (!is_float(value->type.dtype) || *count != 1) {
    return invalid_data("parameter '{}': expected one float, found {}", param,
                        to_string(value->type));
  }
  return constant_float(*value);
}

Result<int64_t> resolve_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) {
    return invalid_data("axis {} is outside a tensor of rank {}", axis, rank);
  }
  return axis < 0 ? axis + rank : axis;
}

Result<std::vector<int64_t>> resolve_axes(std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) axis = TRY(resolve_axis(axis, rank));
  std::sort(axes.begin(), axes.end());
  const auto twice = std::adjacent_find(axes.begin(), axes.end());
  if (twice != axes.end()) return invalid_data("axis {} is given twice", *twice);
  return axes;
}

Result<std::vector<int64_t>> resolve_axes_param(const Op& op, std::string_view param,
                                                int64_t rank) {
  std::vector<int64_t> all(static_cast<size_t>(rank));
  std::iota(all.begin(), all.end(), int64_t{0});
  return resolve_axes(TRY(ints_param(op, param, std::move(all))), rank);
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& dim = result[offset + i];
    if (dim == 1) {
      dim = shorter[i];
    } else if (shorter[i] != 1 && shorter[i] != dim) {
      return invalid_data("shapes {} and {} do not broadcast", to_string(a), to_string(b));
    }
  }
  return result;
}

Result<SliceMasks> slice_masks(const Op& op) {
  const Value* x = op.operand("x");
  if (x == nullptr) return invalid_data("parameter 'x': missing");
  const size_t rank = x->type.shape.size();
  const std::vector<int64_t> unset(rank, 0);
  SliceMasks masks;
  masks.stride = TRY(ints_param(op, "stride", std::vector<int64_t>(rank, 1)));
  masks.begin_open = TRY(ints_param(op, "begin_mask", unset));
  masks.end_open = TRY(ints_param(op, "end_mask", unset));
  masks.squeeze = TRY(ints_param(op, "squeeze_mask", unset));
  return masks;
}

Result<std::vector<SliceAxis>> resolve_slice(const Op& op) {
  const SliceMasks masks = TRY(slice_masks(op));
  return resolve_slice(op.operand("x")->type.shape, TRY(ints_param(op, "begin")),
                       TRY(ints_param(op, "end")), masks);
}

Result<std::vector<SliceAxis>> resolve_slice(const Shape& shape, const std::vector<int64_t>& begin,
                                             const std::vector<int64_t>& end,
                                             const SliceMasks& masks) {
  const size_t rank = shape.size();
  const auto& [stride, begin_mask, end_mask, squeeze_mask] = masks;
  for (const auto* list : {&begin, &end, &stride, &begin_mask, &end_mask, &squeeze_mask}) {
    if (list->size() != rank) {
      return invalid_data(
          "begin, end, stride and the masks: expected one entry for each of the {} axes of x, "
          "found {}",
          rank, list->size());
    }
  }

  std::vector<SliceAxis> axes(rank);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t dim = shape[i];
    const int64_t from = begin[i] < 0 ? begin[i] + dim : begin[i];
    SliceAxis& axis = axes[i];
    if (squeeze_mask[i]) {
      if (from < 0 || from >= dim) {
        return invalid_data("parameter 'begin': index {} is outside axis {} of size {}", begin[i],
                            i, dim);
      }
      axis = {from, 1, 1, true};
      continue;
    }
    // As in Python: bounds beyond the axis are clamped; a backward slice may end before index 0.
    const int64_t step = stride[i];
    if (step == 0) return invalid_data("parameter 'stride': 0 at axis {}", i);
    const int64_t lowest = step > 0 ? 0 : -1;
    const int64_t highest = step > 0 ? dim : dim - 1;
    const int64_t to = end[i] < 0 ? end[i] + dim : end[i];
    const int64_t first =
        begin_mask[i] ? (step > 0 ? lowest : highest) : std::clamp(from, lowest, highest);
    const int64_t past =
        end_mask[i] ? (step > 0 ? highest : lowest) : std::clamp(to, lowest, highest);
    const int64_t distance = step > 0 ? past - first : first - past;
    if (distance <= 0) {
      return invalid_data("the slice {}:{}:{} of axis {} of size {} is empty", begin[i], end[i],
                          step, i, dim);
    }
    const int64_t width = step > 0 ? step : -step;
    axis = {first, step, 1 + (distance - 1) / width, false};
  }
  return axes;
}

Result<std::vector<PadAxis>> resolve_pad(const Op& op) {
  const Value* x = op.operand("x");
  if (x == nullptr) return invalid_data("parameter 'x': missing");
  const size_t rank = x->type.shape.size();
  const auto pad = TRY(ints_param(op, "pad"));
  if (pad.size() % 2 != 0 || pad.size() / 2 > rank) {
    return invalid_data(
        "parameter 'pad': expected two entries for each of at most {} axes, found "
        "{}",
        rank, pad.size());
  }
  std::vector<PadAxis> axes;
  for (size_t i = 0; i < pad.size() / 2; ++i) {
    if (pad[2 * i] < 0 || pad[2 * i + 1] < 0) {
      return invalid_data("parameter 'pad': {} and {} for an axis", pad[2 * i], pad[2 * i + 1]);
    }
    axes.push_back({rank - pad.size() / 2 + i, pad[2 * i], pad[2 * i + 1]});
  }
  return axes;
}

Result<std::vector<int64_t>> resolve_split(const Op& op) {
  const Value* x = op.operand("x");
  if (x == nullptr) return invalid_data("parameter 'x': missing");
  const int64_t axis = TRY(resolve_axis(TRY(int_param(op, "axis")), x->type.rank()));
  const int64_t dim = x->type.shape[static_cast<size_t>(axis)];

  if (op.operand("split_sizes") == nullptr) {
    const int64_t count = TRY(int_param(op, "num_splits"));
    if (count < 1 || count > static_cast<int64_t>(kMaxListLength) || dim % count != 0) {
      return invalid_data("parameter 'num_splits': {} does not divide axis {} of size {}", count,
                          axis, dim);
    }
    return std::vector<int64_t>(static_cast<size_t>(count), dim / count);
  }

  const auto sizes = TRY(ints_param(op, "split_sizes"));
  if (sizes.empty() || *std::min_element(sizes.begin(), sizes.end()) < 1) {
    return invalid_data("parameter 'split_sizes': expected positive sizes");
  }
  // At most 4096 numbers of 32 bits: the sum cannot overflow.
  const int64_t sum = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  if (sum != dim) {
    return invalid_data("parameter 'split_sizes': the sum is {}, axis {} has size {}", sum, axis,
                        dim);
  }
  const int64_t count = TRY(int_param(op, "num_splits", static_cast<int64_t>(sizes.size())));
  if (count != static_cast<int64_t>(sizes.size())) {
    return invalid_data("parameter 'num_splits': {}, but split_sizes has {} entries", count,
                        sizes.size());
  }
  return sizes;
}

Result<GeluMode> gelu_mode(const Op& op) {
  const std::string mode = TRY(string_param(op, "mode", "EXACT"));
  if (mode == "EXACT") return GeluMode::Exact;
  if (mode == "TANH_APPROXIMATION") return GeluMode::Tanh;
  if (mode == "SIGMOID_APPROXIMATION") return GeluMode::Sigmoid;
  return invalid_data(
      "parameter 'mode': expected EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION, found "
      "\"{}\"",
      mode);
}

Result<std::vector<int64_t>> linear_counts(const Op& op) {
  const auto weights = static_cast<int64_t>(op.operand_list("weights").size());
  std::vector<int64_t> counts = TRY(ints_param(op, "counts", {weights}));
  int64_t rest = weights;
  for (const int64_t count : counts) {
    if (count < 1 || count > rest) {
      return invalid_data("counts [{}] do not divide {} weights", fmt::join(counts, ", "), weights);
    }
    rest -= count;
  }
  if (rest != 0) {
    return invalid_data("counts [{}] do not divide {} weights", fmt::join(counts, ", "), weights);
  }
  return counts;
}

}  // namespace diptych::mil
