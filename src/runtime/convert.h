// Element conversions at the border between a method and a Core ML function, whose types are
// narrower: integers of other widths pass as int32, doubles as fp32. Source: Core ML's multi-array
// types; ExecuTorch's Core ML backend converts likewise.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "tensor/type.h"

namespace diptych::runtime {

// Whether a tensor of type `from` can be passed where type `to` is declared: the types are equal,
// or the shapes are equal (a scalar counts as a list of one element) and convert() can convert the
// elements in that direction.
bool can_pass(const TensorType& from, const TensorType& to);

// Converts packed elements; both ranges hold equally many. Errors: an integer that does not fit the
// new type, with its value and index.
Status convert(Bytes from, DType from_type, MutableBytes to, DType to_type);

}  // namespace diptych::runtime
