// Quantises the weights of linear operations.
#pragma once

#include <map>
#include <optional>

#include "base/error.h"
#include "mil/ir.h"
#include "quant/cache.h"

namespace diptych::passes {

// How single weights are quantised, by the weight that a linear has or, in a piece of a split
// linear, had.
using LinearChoices = std::map<const Weight*, std::optional<quant::Quantization>>;

// Every `linear` whose weight is a constant fp16 or fp32 matrix [out, in] gets it quantised along
// the inputs, as `choices` says or else as `how` does; none leaves it as it is. Biases stay as they
// are. An input width that the group does not divide is an error that names the weight and the
// nearest valid group.
Status quantize_linears(mil::Program& program, const std::optional<quant::Quantization>& how,
                        const LinearChoices& choices, quant::Cache& cache);

}  // namespace diptych::passes
