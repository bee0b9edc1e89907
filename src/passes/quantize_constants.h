// What the quantising passes share: replacing constant float matrices by their quantised form.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "mil/ir.h"
#include "quant/cache.h"

namespace diptych::passes {

// The parameter of an operation whose constant may be quantised, or "" for other operations.
using QuantizableParam = std::string_view (*)(const mil::Op& op);

// How a weight is to be quantised; none leaves it as it is.
using QuantizationOf = std::function<std::optional<quant::Quantization>(const Weight& weight)>;

// Replaces every constant fp16 or fp32 matrix bound to such a parameter by
//   constexpr_blockwise_shift_scale(data = codes, scale = scales),
// inserted before its first use. Constants bound to other parameters as well keep their float form
// there. The same weight in several functions gives the same codes and scales, those of `cache` if
// it has them. Widths that their group does not divide are all listed in one error, which says
// `what` they are ("linear weight").
Status quantize_constants(mil::Program& program, const QuantizationOf& how, std::string_view what,
                          QuantizableParam param_of, quant::Cache& cache);

}  // namespace diptych::passes
