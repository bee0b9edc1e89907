// GPTQ: weights are rounded one input after another, and what is lost at each is made up for by
// those that are still to come, as far as the inputs of a text are correlated.
// Sources of the method: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative
// Pre-trained Transformers" (2022); for weights that first make up for what quantising the layers
// before has done to the inputs, and that only for a half of it, Arai and Ichikawa, "Quantization
// Error Propagation: Revisiting Layer-Wise Post-Training Quantization" (2025).
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/thread_pool.h"
#include "quant/gptq_factor.h"
#include "quant/quantize.h"

namespace diptych::quant {

// sum over rows of (w - q) (H + damping) (w - q)ᵀ, w being the weights that make up for the drift:
// the squared error of a linear's outputs over the text, and the same as round-to-nearest would
// have it.
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
// the order of inputs is free. A row for which plain round-to-nearest leaves less error in the
// outputs is rounded so: no row is worse. `tensor` names the weight in errors.
Result<GptqWeight> quantize_gptq(const Weight& source, const Format& format,
                                 const GptqFactor& factor, const Drift& drift,
                                 std::string_view tensor, ThreadPool& pool);

}  // namespace diptych::quant
