// Replaces constant float matrices by their quantised form, for the quantising passes.
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
//   constexpr_blockwise_shift_scale(data = codes, scale = scales) with offset = offsets where there are
//   some, or
//   constexpr_lut_to_dense(indices = codes, lut = table),
// inserted before its first use. Where a constant is also bound to other parameters, those keep the
// float form. The same weight in several functions gives the same codes and scales; those in
// `cache` are used first. Errors: sizes that their group does not divide, all in one list, which
// calls the weights `what` ("linear weight").
Status quantize_constants(mil::Program& program, const QuantizationOf& how, std::string_view what,
                          QuantizableParam param_of, quant::Cache& cache);

}  // namespace diptych::passes
