// GPTQ: weights are rounded one input after another, and what is lost at each is made up for by
// those that are still to come, as far as the inputs of a text are correlated.
// Source of the method: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative
// Pre-trained Transformers" (2022).
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/thread_pool.h"
#include "quant/gptq_factor.h"
#include "quant/quantize.h"

namespace diptych::quant {

// sum over rows of (w - q) (H + damping) (w - q)ᵀ: the squared error of a linear's outputs over the
// text, and the same as round-to-nearest would have it. Both are of every fourth row, which tells
// as much.
struct OutputError {
  double chosen = 0;
  double rounded = 0;
};

struct GptqWeight {
  QuantizedWeight quantized;  // in memory
  OutputError output_error;
};

// The quantised form of `source`, an fp16 or fp32 matrix [out, factor.width()]. Scales are those of
// mse_scale() with the inputs' importance, fixed beforehand, for a row or for each group, so that
// the order of inputs is free. Whether round-to-nearest would have left less error in the outputs
// is said and left to the caller. `tensor` names the weight in errors.
//
// Results depend on the instruction set (matrix_product.h), not on the number of threads.
Result<GptqWeight> quantize_gptq(const Weight& source, const Format& format,
                                 const GptqFactor& factor, std::string_view tensor,
                                 ThreadPool& pool);

}  // namespace diptych::quant
