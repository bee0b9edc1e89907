// The parameters of an operation, read and resolved: what type inference, the passes and the engine
// all need to know about axes, slices and broadcasting stands here, once.
//
// All functions are safe on operands that come from a file; errors name the parameter.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::mil {

// The elements of an integer (int8, int16, int32) or boolean constant bound to `param`: a scalar or
// a list. An absent parameter is an error in the first form and gives the fallback in the others.
Result<std::vector<int64_t>> ints_param(const Op& op, std::string_view param);
Result<std::vector<int64_t>> ints_param(const Op& op, std::string_view param,
                                        std::vector<int64_t> fallback);
Result<int64_t> int_param(const Op& op, std::string_view param);
Result<int64_t> int_param(const Op& op, std::string_view param, int64_t fallback);
Result<bool> bool_param(const Op& op, std::string_view param, bool fallback);
Result<std::string> string_param(const Op& op, std::string_view param);
// A floating-point scalar, such as rsqrt's epsilon.
Result<double> float_param(const Op& op, std::string_view param, double fallback);

// An axis in [-rank, rank) as one in [0, rank).
Result<int64_t> resolve_axis(int64_t axis, int64_t rank);
// Distinct axes, each resolved, in ascending order.
Result<std::vector<int64_t>> resolve_axes(std::vector<int64_t> axes, int64_t rank);

// NumPy's broadcasting: aligned at the right, dimensions equal or one of them 1.
Result<Shape> broadcast(const Shape& a, const Shape& b);

// What slice_by_index takes along one axis of x: count elements begin, begin + stride, …, all of
// them inside the axis. A squeezed axis has count 1 and is absent from the result's shape.
struct SliceAxis {
  int64_t begin = 0;
  int64_t stride = 1;
  int64_t count = 0;
  bool squeeze = false;
};

// One entry per axis of x, masks and negative indices resolved. Empty slices are errors.
Result<std::vector<SliceAxis>> resolve_slice(const Op& op);

// How many of its weights make up each of cpu.linear's results: `counts`, or all of them make one.
Result<std::vector<int64_t>> linear_counts(const Op& op);

// The sizes that split cuts its axis into, from num_splits or split_sizes.
Result<std::vector<int64_t>> resolve_split(const Op& op);

}  // namespace diptych::mil
