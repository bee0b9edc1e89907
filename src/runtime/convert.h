// Element conversions at the border between a method and a Core ML function. A function's features
// have few types (fp16, fp32, fp64, int32, int8), so programs pass what they have: a mask of bools
// for an fp32 feature, int64 indices for an int32 one, fp32 for fp16 and back. Source: Core ML's
// multi-array types; ExecuTorch's Core ML backend converts likewise.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "tensor/type.h"

namespace diptych::runtime {

// Whether a tensor of type `from` can be passed where type `to` is declared: the types are equal,
// or the shapes are equal (a scalar counts as a list of one element) and both element types are
// numbers of whole bytes or bool, which convert() takes.
bool can_pass(const TensorType& from, const TensorType& to);

// Converts packed elements; both ranges hold equally many. Floats are rounded to the nearest;
// floats become integers by truncation, NaN becomes 0 and what does not fit the nearest value; a
// bool is 1 for any other number than 0. Errors: an integer that does not fit a narrower integer,
// with its value and index.
Status convert(Bytes from, DType from_type, MutableBytes to, DType to_type);

}  // namespace diptych::runtime
