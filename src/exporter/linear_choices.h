// How each linear of a model is quantised, and whether the head can share the embedding's blob.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "exporter/options.h"
#include "llama/weights.h"
#include "quant/quantize.h"

namespace diptych::exporter {

// One linear of a model. Its tensor is named as in Meta's checkpoints, whatever the source's form.
struct NamedLinear {
  std::string tensor;  // "layers.0.attention.wq.weight", "output.weight"
  WeightRef weight;
  std::optional<quant::Quantization> how;
};

// Returns all linears in the order of the model. Formats to be kept are those of their tensors; a
// tensor that is not quantised stays so. Errors: an override whose pattern fits no tensor, with a
// list of the names; a format to be kept when the checkpoint has no quantised matrix.
Result<std::vector<NamedLinear>> choose_linears(const llama::LlamaWeights& weights,
                                                const Options& options);

// A note about linears that have no groups because these do not divide them, if there are any.
std::vector<std::string> group_notes(std::span<const NamedLinear> linears, const Options& options);

// Notes about linears that split into fewer pieces than `options` want: a line for each number of
// outputs.
std::vector<std::string> split_notes(std::span<const NamedLinear> linears,
                                     const passes::SplitOptions& options);

// Whether text fits a pattern in which * stands for any characters and ? for one.
bool fits(std::string_view pattern, std::string_view text);

// How a linear is quantised in a format by the options' algorithm; nothing when it is not.
std::optional<quant::Quantization> quantization(const Weight& weight,
                                                const std::optional<quant::Format>& format,
                                                const Options& options);

// How the embedding is quantised: to options.embedding by the algorithm of the linears, with mse in
// place of gptq. Nothing when it is not quantised.
std::optional<quant::Quantization> embedding_choice(const llama::LlamaWeights& weights,
                                                    const Options& options);

// A tied head, which is the embedding, can be one quantised blob with it.
struct HeadSharing {
  bool tied = false;
  bool shared = false;
  std::string reason;  // why a tied head is not shared
  Hint hint;           // what would change that
};
HeadSharing head_sharing(const llama::LlamaWeights& weights, const NamedLinear& head,
                         const Options& options);

}  // namespace diptych::exporter
