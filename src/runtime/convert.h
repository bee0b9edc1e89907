// Element conversions at the border between a method and a Core ML function, whose types are
// narrower: integers of other widths pass as int32, doubles as fp32. Source: Core ML's multi-array
// types; ExecuTorch's Core ML backend converts likewise.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "tensor/type.h"

namespace diptych::runtime {

// Whether a method's tensor can be passed where the function declares `to`: equal types, or equal
// shapes (a scalar counts as one element of rank 1) with a conversion in that direction.
bool can_pass(const TensorType& from, const TensorType& to);

// Converts `count` packed elements. An integer that does not fit is an error naming value and
// index.
Status convert(Bytes from, DType from_type, MutableBytes to, DType to_type);

}  // namespace diptych::runtime
