// Type inference of the operations that move elements without computing on them.
#include <algorithm>

#include "base/bytes.h"
#include "mil/op_infer.h"
#include "mil/op_table.h"
#include "mil/params.h"

namespace diptych::mil {
Result<Types> infer_concat(const Op& op) {
  const auto& values = op.operand_list("values");
  const DType dtype = values.front()->type.dtype;
  const Shape& first = values.front()->type.shape;
  const int64_t rank = values.front()->type.rank();
  const auto axis = static_cast<size_t>(
      TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis")), rank))));
  const bool interleave = TRY(bool_param(op, "interleave", false));

  Shape result = first;
  for (size_t n = 1; n < values.size(); ++n) {
    Shape aligned = values[n]->type.shape;
    if (aligned.size() == first.size() && !interleave) aligned[axis] = first[axis];
    if (aligned != first) {
      return invalid_data("cannot concatenate {} and {} along axis {}", to_string(first),
                          to_string(values[n]->type.shape), axis);
    }
    if (__builtin_add_overflow(result[axis], values[n]->type.shape[axis], &result[axis])) {
      return invalid_data("the concatenated axis {} overflows", axis);
    }
  }
  return Types{TensorType{dtype, std::move(result)}};
}

Result<Types> infer_stack(const Op& op) {
  const auto& values = op.operand_list("values");
  const DType dtype = values.front()->type.dtype;
  const Shape& first = values.front()->type.shape;
  for (const Value* value : values) {
    if (value->type.shape != first) {
      return invalid_data("cannot stack {} and {}: the shapes differ", to_string(first),
                          to_string(value->type.shape));
    }
  }
  const int64_t rank = values.front()->type.rank() + 1;
  const int64_t axis =
      TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis")), rank)));
  Shape result = first;
  result.insert(result.begin() + axis, static_cast<int64_t>(values.size()));
  return Types{TensorType{dtype, std::move(result)}};
}

Result<Types> infer_reshape(const Op& op) {
  const TensorType& x = type_of(op, "x");
  Shape shape = TRY(ints_param(op, "shape"));
  const uint64_t total = TRY(element_count(x.shape));
  const auto mismatch = [&] {
    return invalid_data("cannot reshape {} to {}", to_string(x), to_string(shape));
  };

  uint64_t known = 1;
  int64_t* open = nullptr;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1 && open == nullptr) {
      open = &shape[i];
      continue;
    }
    int64_t dim = shape[i];
    if (dim == 0) {  // the dimension of x at the same place, counted from the right
      const size_t from_right = shape.size() - i;
      dim = from_right <= x.shape.size() ? x.shape[x.shape.size() - from_right] : 1;
    }
    if (dim < 1 || !checked_mul(known, static_cast<uint64_t>(dim), &known)) return mismatch();
    shape[i] = dim;
  }
  if (open != nullptr) {
    if (total % known != 0) return mismatch();
    *open = static_cast<int64_t>(total / known);
  } else if (known != total) {
    return mismatch();
  }
  return Types{TensorType{x.dtype, std::move(shape)}};
}

Result<Types> infer_transpose(const Op& op) {
  const TensorType& x = type_of(op, "x");
  const auto perm = TRY(ints_param(op, "perm"));
  TRY(within("parameter 'perm'", resolve_axes(perm, x.rank())));
  if (perm.size() != x.shape.size()) {
    return invalid_data("parameter 'perm': expected one entry for each of the {} axes, found {}",
                        x.rank(), perm.size());
  }
  TensorType result{x.dtype, {}};
  for (const int64_t axis : perm) {
    result.shape.push_back(x.shape[static_cast<size_t>(axis < 0 ? axis + x.rank() : axis)]);
  }
  return Types{std::move(result)};
}

Result<Types> infer_expand_dims(const Op& op) {
  TensorType x = type_of(op, "x");
  const auto given = TRY(ints_param(op, "axes"));
  const int64_t rank = x.rank() + static_cast<int64_t>(given.size());
  for (const int64_t axis : TRY(within("parameter 'axes'", resolve_axes(given, rank)))) {
    x.shape.insert(x.shape.begin() + axis, 1);  // ascending, so each lands at its final place
  }
  return Types{std::move(x)};
}

Result<Types> infer_squeeze(const Op& op) {
  const TensorType& x = type_of(op, "x");
  const bool all = op.operand("axes") == nullptr;
  const auto axes =
      TRY(within("parameter 'axes'", resolve_axes(TRY(ints_param(op, "axes", {})), x.rank())));
  TensorType result{x.dtype, {}};
  for (int64_t i = 0; i < x.rank(); ++i) {
    // An axis that is named but not of size 1 stays, as in PyTorch.
    const bool named = all || std::binary_search(axes.begin(), axes.end(), i);
    const int64_t dim = x.shape[static_cast<size_t>(i)];
    if (!named || dim != 1) result.shape.push_back(dim);
  }
  return Types{std::move(result)};
}

Result<Types> infer_split(const Op& op) {
  const TensorType& x = type_of(op, "x");
  const auto axis = static_cast<size_t>(
      TRY(within("parameter 'axis'", resolve_axis(TRY(int_param(op, "axis")), x.rank()))));
  Types results;
  for (const int64_t size : TRY(resolve_split(op))) {
    results.push_back(x);
    results.back().shape[axis] = size;
  }
  return results;
}

Result<Types> infer_flatten2d(const Op& op) {
  const TensorType& x = type_of(op, "x");
  const int64_t given = TRY(int_param(op, "axis", 1));
  const int64_t axis = given < 0 ? given + x.rank() : given;
  if (axis < 0 || axis > x.rank()) {
    return invalid_data("parameter 'axis': axis {} is outside a tensor of rank {}", given,
                        x.rank());
  }
  TensorType result{x.dtype, {1, 1}};
  for (int64_t i = 0; i < x.rank(); ++i) {
    result.shape[i < axis ? 0 : 1] *= x.shape[static_cast<size_t>(i)];
  }
  return Types{std::move(result)};
}

Result<Types> infer_reshape_like(const Op& op) {
  const TensorType& x = type_of(op, "x");
  const auto &references = op.operand_list("ref_tensors"), &begins = op.operand_list("begins"),
             &ends = op.operand_list("ends"), &masks = op.operand_list("end_masks");
  if (begins.size() != references.size() || ends.size() != references.size() ||
      masks.size() != references.size()) {
    return invalid_data("{} ref_tensors, {} begins, {} ends and {} end_masks: expected as many",
                        references.size(), begins.size(), ends.size(), masks.size());
  }
  TensorType result{x.dtype, {}};
  for (size_t i = 0; i < references.size(); ++i) {
    const Shape& shape = references[i]->type.shape;
    const auto rank = static_cast<int64_t>(shape.size());
    const auto place = [&](int64_t index) {  // as Python's slices have it
      return std::clamp<int64_t>(index < 0 ? index + rank : index, 0, rank);
    };
    const int64_t begin = place(TRY(constant_int(*begins[i])));
    const bool open = TRY(constant_int(*masks[i])) != 0;
    const int64_t end = open ? rank : place(TRY(constant_int(*ends[i])));
    for (int64_t axis = begin; axis < end; ++axis) {
      result.shape.push_back(shape[static_cast<size_t>(axis)]);
    }
  }
  const auto elements = element_count(result.shape);
  if (!elements || *elements != TRY(element_count(x.shape))) {
    return invalid_data("cannot reshape {} to {}", to_string(x), to_string(result.shape));
  }
  return Types{std::move(result)};
}

}  // namespace diptych::mil
