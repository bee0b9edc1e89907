// Type inference of the operations that combine, accumulate or sort the elements along axes.
#include <algorithm>
#include <numeric>

#include "mil/op_infer.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// The element type of indices that an operation gives: a parameter's, int32 or uint16.
Result<DType> index_dtype(const Op& op, std::string_view param) {
  const std::string wanted = TRY(string_param(op, param, "int32"));
  if (wanted == "int32") return DType::Int32;
  if (wanted == "uint16") return DType::UInt16;
  return invalid_data("parameter '{}': expected int32 or uint16, found \"{}\"", param, wanted);
}

Result<size_t> axis_of(const Op& op, int64_t fallback) {
  return static_cast<size_t>(
      TRY(within("parameter 'axis'",
                 resolve_axis(TRY(int_param(op, "axis", fallback)), type_of(op, "x").rank()))));
}

}  // namespace

Result<Types> infer_reduce(const Op& op) {
  const TensorType& x = type_of(op, "x");
  const auto axes = TRY(within("parameter 'axes'", resolve_axes_param(op, "axes", x.rank())));
  const bool keep = TRY(bool_param(op, "keep_dims", false));
  TensorType result{x.dtype, {}};
  for (int64_t i = 0; i < x.rank(); ++i) {
    const bool reduced = std::binary_search(axes.begin(), axes.end(), i);
    if (!reduced) result.shape.push_back(x.shape[static_cast<size_t>(i)]);
    if (reduced && keep) result.shape.push_back(1);
  }
  return Types{std::move(result)};
}

Result<Types> infer_reduce_arg(const Op& op) {
  TensorType result = type_of(op, "x");
  const size_t axis = TRY(axis_of(op, -1));
  if (TRY(bool_param(op, "keep_dims", false))) {
    result.shape[axis] = 1;
  } else {
    result.shape.erase(result.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  }
  result.dtype = TRY(index_dtype(op, "output_dtype"));
  return Types{std::move(result)};
}

Result<Types> infer_cumsum(const Op& op) {
  TRY(axis_of(op, 0));
  TRY(bool_param(op, "exclusive", false));
  TRY(bool_param(op, "reverse", false));
  return Types{type_of(op, "x")};
}

Result<Types> infer_argsort(const Op& op) {
  TRY(axis_of(op, -1));
  TRY(bool_param(op, "ascending", false));
  return Types{TensorType{DType::Int32, type_of(op, "x").shape}};
}

Result<Types> infer_topk(const Op& op) {
  TensorType values = type_of(op, "x");
  int64_t& size = values.shape[TRY(axis_of(op, -1))];
  const int64_t k = TRY(int_param(op, "k", 1));
  if (k != -1 && (k < 1 || k > size)) {
    return invalid_data("parameter 'k': {} of an axis of size {}", k, size);
  }
  if (k != -1) size = k;
  TRY(bool_param(op, "ascending", false));
  TRY(bool_param(op, "sort", true));
  if (!TRY(bool_param(op, "return_indices", true))) return Types{std::move(values)};
  TensorType indices{TRY(index_dtype(op, "output_indices_dtype")), values.shape};
  return Types{std::move(values), std::move(indices)};
}

}  // namespace diptych::mil
