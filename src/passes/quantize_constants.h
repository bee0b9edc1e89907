// What the quantising passes share: replacing constant float matrices by their quantised form.
#pragma once

#include <string_view>

#include "base/error.h"
#include "mil/ir.h"
#include "passes/quantize.h"

namespace diptych::passes {

// The parameter of an operation whose constant may be quantised, or "" for other operations.
using QuantizableParam = std::string_view (*)(const mil::Op& op);

// Replaces every constant fp16 or fp32 matrix bound to such a parameter by
//   constexpr_blockwise_shift_scale(data = codes, scale = scales),
// inserted before its first use. Constants bound to other parameters as well keep their float form
// there. The same weight in several functions gives the same codes and scales. Widths that the
// group does not divide are all listed in one error, which says `what` they are ("linear weight").
Status quantize_constants(mil::Program& program, const Quantization& how, std::string_view what,
                          QuantizableParam param_of);

}  // namespace diptych::passes
