// Quantises the weights of linear operations.
#pragma once

#include "base/error.h"
#include "mil/ir.h"
#include "passes/quantize.h"

namespace diptych::passes {

// Upstream's names for the usual choices (--linear_quantize).
inline constexpr Quantization kC4w{4, 0};   // 4-bit, one scale per output row
inline constexpr Quantization kB4w{4, 32};  // 4-bit, one scale per 32 inputs

// Every `linear` whose weight is a constant fp16 or fp32 matrix [out, in] gets it quantised along
// the inputs. Biases stay as they are. An input width that the group does not divide is an error
// that names the weight and the nearest valid group.
Status quantize_linears(mil::Program& program, const Quantization& how);

}  // namespace diptych::passes
