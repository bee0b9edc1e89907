// Floats as integers.
#pragma once

#include <cstdint>

#include "tensor/type.h"

namespace diptych::engine {

// A float as a value of an integer type or bool that has cells: without its fraction; what does not
// fit becomes the nearest value of the type and NaN 0; for bool, 1 unless it is 0.
int32_t truncate(DType dtype, float value);

}  // namespace diptych::engine
