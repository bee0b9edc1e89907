// Which linears get more bits: those whose rounding changes the model's answers most, byte for
// byte.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "exporter/linear_choices.h"
#include "exporter/options.h"
#include "llama/params.h"
#include "llama/weights.h"

namespace diptych::exporter {

// Packed bytes of a matrix in a scaled format: codes and scales. A group that does not divide
// the width is as a whole row.
uint64_t packed_bytes(const Weight& matrix, const quant::Format& format, DType dtype);

// For each of `linears`, how much rounding it to its present format is expected to change what the
// model says: the divergence of its distributions (KL, in nats) that this alone causes, as far as
// small changes add up. 0 for a linear that is not quantised.
//
// Measured on a part of the texts, with round-to-nearest: for each linear, by how much its layer's
// output changes; for some layers, what a change there does to the answers (others are in between).
Result<std::vector<double>> sensitivities(const llama::Params& params,
                                          const llama::PreparedWeights& weights,
                                          const std::vector<NamedLinear>& linears,
                                          const std::vector<std::vector<int64_t>>& texts,
                                          int threads, Progress& progress);

// Raises formats of `linears` from c4w to b4w and c8w, the step with the most sensitivity gained a
// byte first, as long as their packed bytes stay within `bytes`. Linears that an override gives a
// format are left alone, as are those that are not quantised.
void raise_formats(const std::vector<double>& sensitivity, const Options& options, uint64_t bytes,
                   std::vector<NamedLinear>& linears);

// The bytes of all `linears` when those that may be raised have options.quantization.bits a weight.
uint64_t budget_of(const std::vector<NamedLinear>& linears, const Options& options);

}  // namespace diptych::exporter
