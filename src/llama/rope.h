// Rotary position embedding: the tables of cosines and sines that the runner slices per step.
// Source: executorch/examples/models/llama/rope.py.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "contract/constants.h"
#include "llama/params.h"
#include "tensor/weight.h"

namespace diptych::llama {

// The angular frequencies, theta^(-2j/d) for the d/2 pairs of the channels that are rotated, with
// the scaling that the parameters ask for: Llama
// 3's, factors of their own, or one for all.
std::vector<float> rope_frequencies(const RopeParams& rope, int64_t head_dim);

// cos and sin of position * frequency, times the attention factor: [max_context_len, rope_dim] in
// `dtype` (F16 or F32), for each of the model's tables; 1 and 0 for channels that are not rotated.
// The parameters are those of for_context().
//
// Angles are fp32 products of fp32 factors, as upstream's. Their cosine and sine are computed in
// double and rounded to fp32, then to `dtype`. Upstream takes them from MKL in fp32, whose result
// is up to 0.6 units in the last place off and depends on the processor: fp16 tables are equal bit
// for bit, fp32 ones differ by one unit in about one entry of twenty.
Result<std::vector<contract::RopeTables>> rope_tables(const Params& params, int64_t max_context_len,
                                                      DType dtype);

}  // namespace diptych::llama
