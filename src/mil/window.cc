#include "mil/window.h"

#include <algorithm>

namespace diptych::mil {
namespace {

// Sizes, strides, … are far below this, so that products of two of them cannot overflow.
constexpr int64_t kMost = int64_t{1} << 31;

// A list with an entry for each spatial axis, each at least `least`.
Result<std::vector<int64_t>> axis_list(const Op& op, std::string_view param, size_t size,
                                       int64_t fallback, int64_t least) {
  auto list = TRY(ints_param(op, param, std::vector<int64_t>(size, fallback)));
  if (list.size() != size) {
    return invalid_data("parameter '{}': expected {} entries, found {}", param, size, list.size());
  }
  for (const int64_t entry : list) {
    if (entry < least || entry >= kMost) {
      return invalid_data("parameter '{}': {} is out of range", param, entry);
    }
  }
  return list;
}

// The spatial axes of x: 1 to 3.
Result<Shape> spatial_shape(const Op& op) {
  const TensorType& x = op.operand("x")->type;
  if (x.rank() < 3 || x.rank() > 5) {
    return invalid_data("x is {}: expected [n, channels, spatial...] with 1 to 3 spatial axes",
                        to_string(x));
  }
  for (const int64_t dim : x.shape) {
    if (dim >= kMost) return unsupported("x is {}: an axis is too long", to_string(x));
  }
  return Shape(x.shape.begin() + 2, x.shape.end());
}

struct Padding {
  std::string type;
  std::vector<int64_t> pad;  // before and after of each axis, for the type custom
};

Result<Padding> padding(const Op& op, size_t axes) {
  Padding padding{TRY(string_param(op, "pad_type", "valid")), {}};
  const auto types = {"valid", "custom", "same", "same_lower"};
  if (std::find(types.begin(), types.end(), padding.type) == types.end()) {
    return invalid_data(
        "parameter 'pad_type': expected valid, custom, same or same_lower, found \"{}\"",
        padding.type);
  }
  padding.pad = TRY(axis_list(op, "pad", 2 * axes, 0, 0));
  if (padding.type != "custom") padding.pad.assign(2 * axes, 0);
  return padding;
}

int64_t extent(const WindowAxis& axis) { return (axis.kernel - 1) * axis.dilation + 1; }

// Pads so that the result has ceil(in / stride) places.
void pad_same(WindowAxis& axis, bool lower) {
  const int64_t places = (axis.in + axis.stride - 1) / axis.stride;
  const int64_t total = std::max<int64_t>(0, (places - 1) * axis.stride + extent(axis) - axis.in);
  axis.before = lower ? total - total / 2 : total / 2;
  axis.after = total - axis.before;
}

Result<std::vector<WindowAxis>> resolve(const Op& op, const Shape& kernel, bool dilates) {
  const Shape in = TRY(spatial_shape(op));
  if (kernel.size() != in.size()) {
    return invalid_data("windows of {} axes over x of {}", kernel.size(), in.size());
  }
  const auto strides = TRY(axis_list(op, "strides", in.size(), 1, 1));
  const auto dilations = dilates ? TRY(axis_list(op, "dilations", in.size(), 1, 1))
                                 : std::vector<int64_t>(in.size(), 1);
  const Padding padding = TRY(mil::padding(op, in.size()));
  std::vector<WindowAxis> axes;
  for (size_t i = 0; i < in.size(); ++i) {
    WindowAxis axis{
        in[i], kernel[i], strides[i], dilations[i], padding.pad[2 * i], padding.pad[2 * i + 1], 1};
    if (kernel[i] < 1 || kernel[i] >= kMost) return invalid_data("a window of {}", kernel[i]);
    if (padding.type.starts_with("same")) pad_same(axis, padding.type == "same_lower");
    axes.push_back(axis);
  }
  return axes;
}

// Sets the number of places; an error when there are none.
Status set_places(WindowAxis& axis, size_t index, bool ceil_mode) {
  const int64_t room = axis.in + axis.before + axis.after - extent(axis);
  if (room < 0) {
    return invalid_data("spatial axis {}: a window of {} has no place in {} with padding {} and {}",
                        index, extent(axis), axis.in, axis.before, axis.after);
  }
  axis.out = room / axis.stride + 1;
  if (ceil_mode) {
    axis.out = (room + axis.stride - 1) / axis.stride + 1;
    // No window begins in the padding behind the input.
    if (axis.before + axis.after > 0 && (axis.out - 1) * axis.stride >= axis.in + axis.before) {
      --axis.out;
    }
  }
  return {};
}

}  // namespace

Result<std::vector<WindowAxis>> resolve_conv(const Op& op) {
  const Shape& weight = op.operand("weight")->type.shape;
  if (weight.size() < 3) return invalid_data("weight has {} axes, expected 3 to 5", weight.size());
  auto axes = TRY(resolve(op, Shape(weight.begin() + 2, weight.end()), true));
  for (size_t i = 0; i < axes.size(); ++i) TRY(set_places(axes[i], i, false));
  return axes;
}

Result<std::vector<WindowAxis>> resolve_pool(const Op& op) {
  const bool ceil_mode = TRY(bool_param(op, "ceil_mode", false));
  auto axes = TRY(resolve(op, TRY(ints_param(op, "kernel_sizes")), false));
  for (size_t i = 0; i < axes.size(); ++i) {
    if (ceil_mode && axes[i].before != axes[i].after) {
      return invalid_data("ceil_mode with padding {} and {}: expected the same", axes[i].before,
                          axes[i].after);
    }
    TRY(set_places(axes[i], i, ceil_mode));
  }
  return axes;
}

Result<std::vector<WindowAxis>> resolve_conv_transpose(const Op& op) {
  const Shape& weight = op.operand("weight")->type.shape;
  if (weight.size() < 3) return invalid_data("weight has {} axes, expected 3 to 5", weight.size());
  auto axes = TRY(resolve(op, Shape(weight.begin() + 2, weight.end()), true));
  const bool same = TRY(string_param(op, "pad_type", "valid")).starts_with("same");
  const auto given = TRY(ints_param(op, "output_shape", {}));
  if (!given.empty() && given.size() != axes.size() + 2) {
    return invalid_data("parameter 'output_shape': expected {} entries, found {}", axes.size() + 2,
                        given.size());
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    WindowAxis& axis = axes[i];
    axis.out = axis.in;
    const int64_t full = (axis.out - 1) * axis.stride + extent(axis);
    axis.in = full - axis.before - axis.after;
    if (same) {
      axis.in = axis.out * axis.stride;
      axis.before = std::max<int64_t>(0, full - axis.in) / 2;
      axis.after = std::max<int64_t>(0, full - axis.in) - axis.before;
    }
    if (!given.empty()) axis.in = given[i + 2];
    if (axis.in < 1 || axis.in >= kMost) {
      return invalid_data("spatial axis {}: the result would have the size {}", i, axis.in);
    }
  }
  return axes;
}

}  // namespace diptych::mil
