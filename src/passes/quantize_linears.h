// Quantises the weights of linear operations.
#pragma once

#include <map>
#include <optional>

#include "base/error.h"
#include "mil/ir.h"
#include "passes/quantize.h"

namespace diptych::passes {

// The names of the usual choices (--linear_quantize).
inline constexpr Quantization kC4w{4, 0};   // 4-bit, one scale per output row; upstream's
inline constexpr Quantization kB4w{4, 32};  // 4-bit, one scale per 32 inputs; upstream's
inline constexpr Quantization kC8w{8, 0};   // 8-bit, one scale per output row

// How single weights are quantised, by the weight that a linear has or, in a piece of a split
// linear, had.
using LinearChoices = std::map<const Weight*, std::optional<Quantization>>;

// Every `linear` whose weight is a constant fp16 or fp32 matrix [out, in] gets it quantised along
// the inputs, as `choices` says or else as `how` does; none leaves it as it is. Biases stay as they
// are. An input width that the group does not divide is an error that names the weight and the
// nearest valid group.
Status quantize_linears(mil::Program& program, const std::optional<Quantization>& how,
                        const LinearChoices& choices, QuantizeCache& cache);

}  // namespace diptych::passes
