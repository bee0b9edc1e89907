// Type inference of the operations that read or write at computed places.
#include <algorithm>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

Result<size_t> axis_of(const Op& op, const TensorType& type) {
  return static_cast<size_t>(
      TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis", 0)), type.rank()))));
}

Status check_mode(const Op& op) {
  const std::string mode = TRY(string_param(op, "mode", "add"));
  for (const std::string_view known : {"update", "add", "sub", "mul", "div", "max", "min"}) {
    if (mode == known) return {};
  }
  return invalid_data("parameter 'mode': unknown mode \"{}\"", mode);
}

// The shape of what indices [..., k] select of a tensor: the slices behind its first `batch` + k
// axes.
Result<Shape> nd_shape(const TensorType& data, const TensorType& indices, int64_t batch) {
  if (indices.rank() < 1) return invalid_data("parameter 'indices': expected rank 1 or more");
  const int64_t depth = indices.shape.back();
  if (batch < 0 || batch >= indices.rank() || batch > data.rank() || depth > data.rank() - batch ||
      !std::equal(data.shape.begin(), data.shape.begin() + batch, indices.shape.begin())) {
    return invalid_data("indices {} do not fit {} with {} batch_dims", to_string(indices),
                        to_string(data), batch);
  }
  Shape shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.insert(shape.end(), data.shape.begin() + batch + depth, data.shape.end());
  return shape;
}

Status check_updates(const Op& op, const Shape& expected) {
  const TensorType& updates = type_of(op, "updates");
  if (updates.shape == expected) return {};
  return invalid_data("parameter 'updates': expected {}, found {}", to_string(expected),
                      to_string(updates.shape));
}

// Indices of data's rank, as long as data along all axes but one.
Status check_along_axis(const TensorType& data, const TensorType& indices, size_t axis) {
  Shape shape = indices.shape;
  if (shape.size() == data.shape.size()) shape[axis] = data.shape[axis];
  if (shape == data.shape) return {};
  return invalid_data("indices {} do not fit {} along axis {}", to_string(indices), to_string(data),
                      axis);
}

}  // namespace

// x.shape[:axis] + indices.shape[batch:] + x.shape[axis+1:]
Result<Types> infer_gather(const Op& op) {
  const TensorType &x = type_of(op, "x"), &indices = type_of(op, "indices");
  const auto axis = static_cast<int64_t>(TRY(axis_of(op, x)));
  TRY(bool_param(op, "validate_indices", false));
  const int64_t batch = TRY(int_param(op, "batch_dims", 0));
  if (batch < 0 || batch > axis || batch > indices.rank() ||
      !std::equal(x.shape.begin(), x.shape.begin() + batch, indices.shape.begin())) {
    return invalid_data("parameter 'batch_dims': {} does not fit x {}, indices {} and axis {}",
                        batch, to_string(x), to_string(indices), axis);
  }
  TensorType result{x.dtype, {x.shape.begin(), x.shape.begin() + axis}};
  result.shape.insert(result.shape.end(), indices.shape.begin() + batch, indices.shape.end());
  result.shape.insert(result.shape.end(), x.shape.begin() + axis + 1, x.shape.end());
  return Types{std::move(result)};
}

Result<Types> infer_gather_along_axis(const Op& op) {
  const TensorType &x = type_of(op, "x"), &indices = type_of(op, "indices");
  TRY(check_along_axis(x, indices, TRY(axis_of(op, x))));
  TRY(bool_param(op, "validate_indices", false));
  return Types{TensorType{x.dtype, indices.shape}};
}

Result<Types> infer_gather_nd(const Op& op) {
  const TensorType& x = type_of(op, "x");
  TRY(bool_param(op, "validate_indices", false));
  const int64_t batch = TRY(int_param(op, "batch_dims", 0));
  return Types{TensorType{x.dtype, TRY(nd_shape(x, type_of(op, "indices"), batch))}};
}

Result<Types> infer_scatter(const Op& op) {
  const TensorType &data = type_of(op, "data"), &indices = type_of(op, "indices");
  const auto axis = static_cast<std::ptrdiff_t>(TRY(axis_of(op, data)));
  Shape expected(data.shape.begin(), data.shape.begin() + axis);
  expected.insert(expected.end(), indices.shape.begin(), indices.shape.end());
  expected.insert(expected.end(), data.shape.begin() + axis + 1, data.shape.end());
  TRY(check_updates(op, expected));
  TRY(check_mode(op));
  TRY(bool_param(op, "validate_indices", false));
  return Types{data};
}

Result<Types> infer_scatter_along_axis(const Op& op) {
  const TensorType &data = type_of(op, "data"), &indices = type_of(op, "indices");
  TRY(check_along_axis(data, indices, TRY(axis_of(op, data))));
  TRY(check_updates(op, indices.shape));
  TRY(check_mode(op));
  TRY(bool_param(op, "validate_indices", false));
  return Types{data};
}

Result<Types> infer_scatter_nd(const Op& op) {
  const TensorType& data = type_of(op, "data");
  TRY(check_updates(op, TRY(nd_shape(data, type_of(op, "indices"), 0))));
  TRY(check_mode(op));
  TRY(bool_param(op, "validate_indices", false));
  return Types{data};
}

}  // namespace diptych::mil
