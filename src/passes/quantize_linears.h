// Quantises the weights of linear operations.
#pragma once

#include <map>
#include <optional>

#include "base/error.h"
#include "mil/ir.h"
#include "quant/cache.h"

namespace diptych::passes {

// How single weights are quantised, by the weight of a linear before it was split.
using LinearChoices = std::map<const Weight*, std::optional<quant::Quantization>>;

// Quantises along the inputs the constant fp16 or fp32 weight [out, in] of every `linear`, as
// `choices` says or else as `how` says; nothing there leaves the weight as it is. Biases stay as
// they are. Errors: an input width that the group does not divide, with the weight and the nearest
// valid group.
Status quantize_linears(mil::Program& program, const std::optional<quant::Quantization>& how,
                        const LinearChoices& choices, quant::Cache& cache);

}  // namespace diptych::passes
