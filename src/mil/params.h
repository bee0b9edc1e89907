// Reads and resolves the parameters of operations: axes, slices and broadcasting, for type
// inference, passes and the engine alike.
//
// All functions are safe on operands from a file. Errors name the parameter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::mil {

// Return the elements of an integer (8 to 32 bits) or boolean constant bound to `param`, a scalar
// or a list. An absent parameter gives the fallback; without one it is an error.
Result<std::vector<int64_t>> ints_param(const Op& op, std::string_view param);
Result<std::vector<int64_t>> ints_param(const Op& op, std::string_view param,
                                        std::vector<int64_t> fallback);
Result<int64_t> int_param(const Op& op, std::string_view param);
Result<int64_t> int_param(const Op& op, std::string_view param, int64_t fallback);
Result<bool> bool_param(const Op& op, std::string_view param, bool fallback);
Result<std::string> string_param(const Op& op, std::string_view param);
Result<std::string> string_param(const Op& op, std::string_view param, std::string fallback);
// The elements of a constant of two axes, such as paddings, row by row.
Result<std::vector<int64_t>> table_param(const Op& op, std::string_view param);
// A floating-point scalar, such as rsqrt's epsilon.
Result<double> float_param(const Op& op, std::string_view param, double fallback);
// A scalar of any number type or bool.
Result<double> number_param(const Op& op, std::string_view param);
Result<double> number_param(const Op& op, std::string_view param, double fallback);

// What a value is a cast of, at whatever remove: itself when it is none. A program may cast the
// constants that a parameter takes.
const Value& uncast(const Value& value);

// Maps an axis in [-rank, rank) to [0, rank).
Result<int64_t> resolve_axis(int64_t axis, int64_t rank);
// Resolves axes, which must be distinct, and sorts them in ascending order.
Result<std::vector<int64_t>> resolve_axes(std::vector<int64_t> axes, int64_t rank);
// Resolves the axes that a parameter lists; all axes when it is absent.
Result<std::vector<int64_t>> resolve_axes_param(const Op& op, std::string_view param, int64_t rank);

// NumPy's broadcasting: aligned at the right, dimensions equal or one of them 1.
Result<Shape> broadcast(const Shape& a, const Shape& b);

// The elements that slice_by_index takes along one axis of x: begin, begin + stride, …, `count` in
// number, all inside the axis. A squeezed axis has count 1 and is absent from the result's shape.
struct SliceAxis {
  int64_t begin = 0;
  int64_t stride = 1;
  int64_t count = 0;
  bool squeeze = false;
};

// Returns an entry for each axis of x, with masks and negative indices resolved. Errors: empty
// slices.
Result<std::vector<SliceAxis>> resolve_slice(const Op& op);

// How gelu is computed: x * P(X <= x) for a normal X, or approximately.
enum class GeluMode : uint8_t { Exact, Tanh, Sigmoid };
// The mode of a gelu, exact if it has none.
Result<GeluMode> gelu_mode(const Op& op);
// What is constant of a slice whose begin and end are computed at run time.
struct SliceMasks {
  std::vector<int64_t> stride, begin_open, end_open, squeeze;  // an entry for each axis
};
Result<SliceMasks> slice_masks(const Op& op);
// The slices of a tensor of `shape`, as resolve_slice() gives them.
Result<std::vector<SliceAxis>> resolve_slice(const Shape& shape, const std::vector<int64_t>& begin,
                                             const std::vector<int64_t>& end,
                                             const SliceMasks& masks);

// Elements that pad adds before and after along one axis.
struct PadAxis {
  size_t axis = 0;
  int64_t before = 0, after = 0;
};
// The axes that `pad` lists, which are the last ones of x.
Result<std::vector<PadAxis>> resolve_pad(const Op& op);

// How many weights each result of cpu.linear is made of: `counts`, or without it all weights for
// the one result.
Result<std::vector<int64_t>> linear_counts(const Op& op);

// The sizes that split cuts its axis into, from num_splits or split_sizes.
Result<std::vector<int64_t>> resolve_split(const Op& op);

}  // namespace diptych::mil
