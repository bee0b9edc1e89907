// Weights whose values must be numbers once they are stored.
#pragma once

#include <string>

#include "tensor/weight.h"

namespace diptych {

// cast(source, dtype), fp16 or fp32, that fails to be read where a value is infinite or NaN, or
// becomes infinite for it exceeds the type. The error names the tensor, counts such values in all
// of it and says what helps. The digest is that of the cast.
WeightRef finite_cast(WeightRef source, DType dtype, std::string tensor);

}  // namespace diptych
