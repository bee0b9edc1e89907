// Which rotations an export folds into a model's weights.
#pragma once

#include "base/error.h"
#include "exporter/options.h"
#include "llama/params.h"
#include "llama/weights.h"

namespace diptych::exporter {

// Those that the options name, or else that of the stream or, where a model cannot have it, that of
// heads: none beside adapters as methods of their own, nor where weights are kept as a GGUF has
// them. Errors: named ones that the model cannot have, with the reason.
Result<llama::Rotations> rotations_of(const llama::Params& params,
                                      const llama::LlamaWeights& weights, const Options& options);

}  // namespace diptych::exporter
