// Conversions between floating-point types. Exports spend most of their time here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/type.h"

namespace diptych {

// Whether convert_floats() takes the type: fp16, bf16, fp32 or fp64.
bool is_castable(DType dtype);

// Converts `count` elements, rounding to nearest even exactly as base/half.h does, for every bit
// pattern. Conversions to a narrower type go through fp32, so fp64 is rounded twice. Addresses need
// no alignment; the two ranges must not overlap.
void convert_floats(const std::byte* in, DType from, size_t count, std::byte* out, DType to);

// The same without vector instructions: the specification of the above.
void convert_floats_reference(const std::byte* in, DType from, size_t count, std::byte* out,
                              DType to);

}  // namespace diptych
