// Which linear of a model is quantised how, and whether the head can share the embedding's blob.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "exporter/options.h"
#include "llama/weights.h"
#include "quant/quantize.h"

namespace diptych::exporter {

// One linear of a model, under its tensor's name in Meta's checkpoints whatever the source's.
struct NamedLinear {
  std::string tensor;  // "layers.0.attention.wq.weight", "output.weight"
  WeightRef weight;
  std::optional<quant::Quantization> how;
};

// All linears in the order of the model. An override whose pattern fits no tensor is an error that
// lists the names.
Result<std::vector<NamedLinear>> choose_linears(const llama::LlamaWeights& weights,
                                                const Options& options);

// What to tell of linears that split into fewer pieces than was asked for: a line for each number
// of outputs.
std::vector<std::string> split_notes(std::span<const NamedLinear> linears,
                                     const passes::SplitOptions& options);

// Whether text fits a pattern in which * stands for any characters and ? for one.
bool fits(std::string_view pattern, std::string_view text);

// How the embedding is quantised: options.embedding with the algorithm of the linears, or mse in
// place of gptq.
std::optional<quant::Quantization> embedding_choice(const Options& options);

// A head that is the embedding (tied) can be one quantised blob with it.
struct HeadSharing {
  bool tied = false;
  bool shared = false;
  std::string reason;  // why it is not, when tied: "the formats differ: 8,0 and c4w"
  Hint hint;           // what would change that
};
HeadSharing head_sharing(const llama::LlamaWeights& weights, const NamedLinear& head,
                         const Options& options);

}  // namespace diptych::exporter
