// Type inference of the operations that take, repeat, pad and rearrange parts of a tensor.
#include <algorithm>

#include "mil/blocks.h"
#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// The dimension a + b; an error when it overflows.
Result<int64_t> sum(int64_t a, int64_t b) {
  int64_t total = 0;
  if (__builtin_add_overflow(a, b, &total)) return invalid_data("a dimension overflows");
  return total;
}

Shape without_squeezed(const std::vector<SliceAxis>& axes) {
  Shape shape;
  for (const SliceAxis& axis : axes) {
    if (!axis.squeeze) shape.push_back(axis.count);
  }
  return shape;
}

Status check_index_list(const Op& op, std::string_view param, size_t rank) {
  const TensorType& type = type_of(op, param);
  if (type.shape == Shape{static_cast<int64_t>(rank)}) return {};
  return invalid_data("parameter '{}': expected one entry for each of the {} axes of x, found {}",
                      param, rank, to_string(type));
}

}  // namespace

Result<Types> infer_slice_by_index(const Op& op) {
  return Types{TensorType{type_of(op, "x").dtype, without_squeezed(TRY(resolve_slice(op)))}};
}

Result<Types> infer_slice_update(const Op& op) {
  const TensorType &x = type_of(op, "x"), &update = type_of(op, "update");
  TRY(check_index_list(op, "begin", x.shape.size()));
  TRY(check_index_list(op, "end", x.shape.size()));
  TRY(slice_masks(op));
  if (!op.operand("begin")->is_constant() || !op.operand("end")->is_constant()) return Types{x};
  const Shape slice = without_squeezed(TRY(resolve_slice(op)));
  if (update.shape != slice) {
    return invalid_data("update is {}, the slice of x is {}", to_string(update), to_string(slice));
  }
  return Types{x};
}

Result<Types> infer_slice_by_size(const Op& op) {
  TensorType result = type_of(op, "x");
  const size_t rank = result.shape.size();
  TRY(check_index_list(op, "begin", rank));
  const auto size = TRY(ints_param(op, "size"));
  if (size.size() != rank) {
    return invalid_data("parameter 'size': expected {} entries, found {}", rank, size.size());
  }
  // What remains behind a computed begin is not known here.
  const bool known = op.operand("begin")->is_constant();
  const auto begin = known ? TRY(ints_param(op, "begin")) : std::vector<int64_t>(rank, 0);
  for (size_t i = 0; i < rank; ++i) {
    int64_t& dim = result.shape[i];
    const int64_t from = begin[i] < 0 ? begin[i] + dim : begin[i];
    if (size[i] == -1 && !known) return unsupported("size -1 behind a computed begin");
    const int64_t count = size[i] == -1 ? dim - from : size[i];
    if (from < 0 || count < 1 || from > dim - count) {
      return invalid_data("{} elements from {} of axis {} of size {}", size[i], begin[i], i, dim);
    }
    dim = count;
  }
  return Types{std::move(result)};
}

Result<Types> infer_crop(const Op& op) {
  TensorType result = type_of(op, "x");
  if (result.rank() < 3) return invalid_data("x is {}: expected rank 3 or more", to_string(result));
  for (const auto& [param, from_end] : {std::pair{"crop_height", 2}, std::pair{"crop_width", 1}}) {
    const auto crop = TRY(ints_param(op, param));
    int64_t& dim = result.shape.end()[-from_end];
    if (crop.size() != 2 || crop[0] < 0 || crop[1] < 0 || crop[0] >= dim ||
        crop[1] >= dim - crop[0]) {
      return invalid_data("parameter '{}': expected two sizes that leave something of {}", param,
                          dim);
    }
    dim -= crop[0] + crop[1];
  }
  return Types{std::move(result)};
}

Result<Types> infer_pad(const Op& op) {
  TensorType result = type_of(op, "x");
  const std::string mode = TRY(string_param(op, "mode", "constant"));
  if (mode != "constant" && mode != "reflect" && mode != "replicate") {
    return invalid_data("parameter 'mode': expected constant, reflect or replicate, found \"{}\"",
                        mode);
  }
  TRY(number_param(op, "constant_val", 0));
  for (const auto& [axis, before, after] : TRY(resolve_pad(op))) {
    int64_t& dim = result.shape[axis];
    if (mode == "reflect" && std::max(before, after) >= dim) {
      return invalid_data("axis {} of size {} cannot be reflected by {} and {}", axis, dim, before,
                          after);
    }
    dim = TRY(sum(TRY(sum(dim, before)), after));
  }
  return Types{std::move(result)};
}

Result<Types> infer_reverse(const Op& op) {
  const TensorType& x = type_of(op, "x");
  TRY(within("parameter 'axes'", resolve_axes_param(op, "axes", x.rank())));
  return Types{x};
}

Result<Types> infer_reverse_sequence(const Op& op) {
  const TensorType& x = type_of(op, "x");
  const int64_t sequence = TRY(
      within("parameter 'seq_axis'", resolve_axis(TRY(int_param(op, "seq_axis", 0)), x.rank())));
  const int64_t batch = TRY(within("parameter 'batch_axis'",
                                   resolve_axis(TRY(int_param(op, "batch_axis", 0)), x.rank())));
  const TensorType& lengths = type_of(op, "lengths");
  if (sequence == batch || lengths.shape != Shape{x.shape[static_cast<size_t>(batch)]}) {
    return invalid_data(
        "x is {} and lengths {}: expected a length for each slice of axis {}, along "
        "another axis than {}",
        to_string(x), to_string(lengths), batch, sequence);
  }
  return Types{x};
}

Result<Types> infer_sliding_windows(const Op& op) {
  TensorType result = type_of(op, "x");
  const int64_t axis =
      TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis")), result.rank())));
  const int64_t size = TRY(int_param(op, "size")), stride = TRY(int_param(op, "stride", 1));
  int64_t& dim = result.shape[static_cast<size_t>(axis)];
  if (size < 1 || size > dim || stride < 1) {
    return invalid_data("windows of {} at every {} of axis {} of size {}", size, stride, axis, dim);
  }
  dim = (dim - size) / stride + 1;
  result.shape.insert(result.shape.begin() + axis + 1, size);
  return Types{std::move(result)};
}

Result<Types> infer_tile(const Op& op) {
  TensorType result = type_of(op, "x");
  const auto reps = TRY(ints_param(op, "reps"));
  if (reps.size() != result.shape.size()) {
    return invalid_data("parameter 'reps': expected {} entries, found {}", result.rank(),
                        reps.size());
  }
  for (size_t i = 0; i < reps.size(); ++i) {
    if (reps[i] < 1 || __builtin_mul_overflow(result.shape[i], reps[i], &result.shape[i])) {
      return invalid_data("parameter 'reps': {} for axis {}", reps[i], i);
    }
  }
  return Types{std::move(result)};
}

Result<Types> infer_band_part(const Op& op) {
  const TensorType& x = type_of(op, "x");
  if (x.rank() < 2) return invalid_data("x is {}: expected rank 2 or more", to_string(x));
  TRY(int_param(op, "lower", -1));
  TRY(int_param(op, "upper", -1));
  return Types{x};
}

Result<Types> infer_blocks(const Op& op) {
  return Types{TensorType{type_of(op, "x").dtype, TRY(resolve_blocks(op)).result()}};
}

}  // namespace diptych::mil
