// A model run stage by stage over a few texts: what calibration watches. A stage ends where a
// linear takes its input, so that the inputs of the linears are what stages pass on.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "contract/signature.h"
#include "engine/numerics.h"
#include "llama/params.h"
#include "llama/weights.h"
#include "passes/cut_at_breaks.h"
#include "passes/quantize_linears.h"
#include "quant/cache.h"

namespace diptych::exporter {

using TokenText = std::vector<int64_t>;

// The hidden values of one text, by their number in Stages::cut.values: [tokens, width].
using TextState = std::map<size_t, std::vector<float>>;

// The stages of a model that has one layer: the embedding, those of the layer, the final norm (in a
// rotated model with its gain as a stage of its own), the head.
struct Stages {
  passes::CutMethod cut;
  // By stage: the value that its linears take, and their weights as the model has them (of a
  // quantised model nothing, for they are what they were quantised to).
  struct Linears {
    size_t input = 0;
    std::vector<WeightRef> weights;
  };
  std::vector<Linears> linears;
  size_t layer = 0;       // which of the model's
  size_t final_norm = 0;  // a stage

  size_t head() const { return cut.partitions.size() - 1; }
  size_t first_of_layer() const { return 1; }
  size_t end_of_layer() const { return final_norm; }
  // The hidden state as the layer takes it and as it leaves it.
  size_t hidden_in() const { return cut.partitions[0].outputs.front(); }
  size_t hidden_out() const { return cut.partitions[end_of_layer()].inputs.front(); }
  size_t logits() const { return cut.outputs.front(); }
  // After the layer's stages: what the layer leaves becomes what the next one takes.
  void hand_on(std::vector<TextState>& states) const;
  // Whether a stage after `stage` takes a value.
  bool needed_after(size_t stage, size_t value) const;
};

// Texts of at most `tokens` tokens, run through single layers of a model.
class StagedModel {
 public:
  // `params` are those of llama::for_context(); `weights` must outlive it. Errors: a token outside
  // the vocabulary.
  static Result<StagedModel> create(const llama::Params& params,
                                    const llama::PreparedWeights& weights,
                                    std::vector<TokenText> texts, ThreadPool& pool);

  size_t layers() const { return weights_->tensors.layers.size(); }
  const std::vector<TokenText>& texts() const { return texts_; }
  int64_t tokens() const { return tokens_; }  // that values have room for

  // The stages of layer `layer`, with the linears of `choices` quantised if there is a cache.
  Result<Stages> stages(size_t layer, const passes::LinearChoices& choices,
                        quant::Cache* quantized) const;

  // Runs all stages of layer `layer`, quantised as above, on states that hold the hidden state
  // before it and afterwards the one after it (as hidden_in()).
  Status advance(size_t layer, const passes::LinearChoices& choices, quant::Cache* quantized,
                 std::vector<TextState>& states, Progress& progress);

  // Runs a stage for all texts: takes its inputs from `states` (one a text) and puts its results
  // there. Values that no stage after it takes are dropped, but for the results themselves.
  Status run(const Stages& stages, size_t stage, std::vector<TextState>& states,
             Progress& progress);
  // Runs what is between the layers and the head on states that hold the hidden state after the
  // last layer, as hidden_in().
  Status run_final_norm(const Stages& stages, std::vector<TextState>& states, Progress& progress);

 private:
  // What methods take besides hidden values, in the engine's wide form.
  struct MethodInputs {
    // Layers differ in these. By window: [T, 1 + T], causal; by RoPE table: [T, rope_dim].
    std::map<std::optional<int64_t>, std::vector<float>> masks;
    std::vector<std::vector<float>> cos, sin;
    std::vector<float> cache;  // one layer's, zeros
    contract::Places places;
  };

  StagedModel(const llama::Params& params, const llama::PreparedWeights& weights,
              std::vector<TokenText> texts, ThreadPool& pool);
  Status make_inputs();
  const void* method_input(size_t index, size_t layer, const std::vector<int32_t>& tokens) const;
  // The parameters of a model that has only this layer.
  llama::Params one_layer(size_t layer) const;

  llama::Params params_;
  const llama::PreparedWeights* weights_;
  std::vector<TokenText> texts_;
  ThreadPool* pool_;
  int64_t tokens_ = 1;  // of the longest text
  MethodInputs inputs_;
};

// The logits after each token of the model's texts, [tokens, vocab_size] by text.
Result<std::vector<std::vector<float>>> logits_of(StagedModel& model, Progress& progress);

}  // namespace diptych::exporter
