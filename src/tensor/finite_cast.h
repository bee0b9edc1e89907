// Casts of weights whose values must be finite.
#pragma once

#include <string>

#include "tensor/weight.h"

namespace diptych {

// Returns cast(source, dtype) to fp16 or fp32. Reading it, or taking its digest, fails when a value
// is infinite or NaN, or becomes infinite because it exceeds the type. The error names the tensor,
// counts such values in the whole tensor and hints at what helps. The digest is that of the cast.
WeightRef finite_cast(WeightRef source, DType dtype, std::string tensor);

}  // namespace diptych
