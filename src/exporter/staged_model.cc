#include "exporter/staged_model.h"

#include <algorithm>
#include <limits>

#include "engine/executable.h"
#include "llama/graph.h"
#include "llama/rope.h"
#include "llama/static_model.h"

namespace diptych::exporter {

namespace {

// The slots that the caches have: one that nobody sees, for there must be some.
constexpr int64_t kCacheSlots = 1;

// The axis of a hidden value [1, T, width] that has an element a token.
constexpr size_t kTokenAxis = 1;

// Puts a graph break before the first linear of each input.
void break_at_linears(mil::Function& function) {
  std::vector<const mil::Value*> broken;
  for (size_t i = 0; i < function.ops.size(); ++i) {
    if (function.ops[i]->type != "linear") continue;
    mil::Value* input = function.ops[i]->operand("x");
    if (std::find(broken.begin(), broken.end(), input) != broken.end()) continue;
    mil::Op* cut = function.insert_op(i++, "diptych.graph_break", {},
                                      {{input->name + "_watched", input->type}});
    function.replace_uses(input, cut->result());
    cut->operands = {{"values", {input}}};
    broken.push_back(cut->result());
  }
}

// [T, 1 + T]: each token sees itself and those before it, as far as the window goes.
std::vector<float> causal_mask(int64_t tokens, std::optional<int64_t> window) {
  const int64_t width = kCacheSlots + tokens;
  std::vector<float> mask(static_cast<size_t>(tokens * width),
                          -std::numeric_limits<float>::infinity());
  for (int64_t row = 0; row < tokens; ++row) {
    const int64_t seen = std::min(row + 1, window.value_or(tokens));
    std::fill_n(mask.begin() + row * width + kCacheSlots + row + 1 - seen, seen, 0.0f);
  }
  return mask;
}

// Whatever the layer's window, there is one cache, and nothing in it.
contract::Model one_layer_model(llama::Params params, DType dtype) {
  params.layers.front().window.reset();
  return llama::static_model(params, kCacheSlots, dtype);
}

}  // namespace

bool Stages::needed_after(size_t stage, size_t value) const {
  for (size_t later = stage + 1; later < cut.partitions.size(); ++later) {
    const auto& inputs = cut.partitions[later].inputs;
    if (std::find(inputs.begin(), inputs.end(), value) != inputs.end()) return true;
  }
  return false;
}

void Stages::hand_on(std::vector<TextState>& states) const {
  for (TextState& state : states) {
    std::vector<float> hidden = std::move(state.at(hidden_out()));
    state.clear();
    state[hidden_in()] = std::move(hidden);
  }
}

StagedModel::StagedModel(const llama::Params& params, const llama::PreparedWeights& weights,
                         std::vector<TokenText> texts, ThreadPool& pool)
    : params_(params), weights_(&weights), texts_(std::move(texts)), pool_(&pool) {
  for (const TokenText& text : texts_) {
    tokens_ = std::max(tokens_, static_cast<int64_t>(text.size()));
  }
}

Result<StagedModel> StagedModel::create(const llama::Params& params,
                                        const llama::PreparedWeights& weights,
                                        std::vector<TokenText> texts, ThreadPool& pool) {
  for (const TokenText& text : texts) {
    for (const int64_t token : text) {
      if (token >= 0 && token < params.vocab_size) continue;
      return invalid_argument("token {} is outside the vocabulary, expected 0 to {}", token,
                              params.vocab_size - 1);
    }
  }
  StagedModel model(params, weights, std::move(texts), pool);
  TRY(model.make_inputs());
  return model;
}

Status StagedModel::make_inputs() {
  for (size_t layer = 0; layer < layers(); ++layer) {
    const std::optional<int64_t> window = params_.layer(layer).window;
    if (!inputs_.masks.contains(window)) inputs_.masks[window] = causal_mask(tokens_, window);
  }
  for (const auto& table : TRY(llama::rope_tables(params_, tokens_, weights_->dtype))) {
    inputs_.cos.push_back(TRY(read_floats(*table.cos)));
    inputs_.sin.push_back(TRY(read_floats(*table.sin)));
  }
  inputs_.cache.resize(static_cast<size_t>(kCacheSlots * params_.kv_dim()));
  inputs_.places = TRY(contract::signature(one_layer_model(one_layer(0), weights_->dtype),
                                           contract::method_of(contract::Role::Single, tokens_)))
                       .places;
  return {};
}

llama::Params StagedModel::one_layer(size_t layer) const {
  llama::Params params = params_;
  llama::LayerParams only = params.layer(layer);
  params.n_layers = 1;
  params.ropes = {params.ropes[only.rope.value_or(0)]};
  if (only.rope) only.rope = 0;
  params.layers = {only};
  return params;
}

const void* StagedModel::method_input(size_t index, size_t layer,
                                      const std::vector<int32_t>& tokens) const {
  const contract::Places& places = inputs_.places;
  const auto [window, rope] = params_.layer(layer);
  if (index == places.tokens) return tokens.data();
  if (index == places.masks[0]) return inputs_.masks.at(window).data();
  if (index == places.cos[0]) return inputs_.cos[rope.value_or(0)].data();
  if (index == places.sin[0]) return inputs_.sin[rope.value_or(0)].data();
  return inputs_.cache.data();
}

Result<Stages> StagedModel::stages(size_t layer, const passes::LinearChoices& choices,
                                   quant::Cache* quantized) const {
  const llama::LlamaWeights& all = weights_->tensors;
  llama::PreparedWeights one{weights_->dtype, {}, weights_->zero_biases};
  one.tensors.tok_embeddings = all.tok_embeddings;
  one.tensors.layers = {all.layers[layer]};
  one.tensors.norm = all.norm;
  one.tensors.rotated_gain = all.rotated_gain;
  one.tensors.output = all.output;
  const llama::Params params = one_layer(layer);
  mil::Program program;
  program.functions.push_back(
      TRY(llama::build(params, one,
                       {one_layer_model(params, weights_->dtype),
                        contract::method_of(contract::Role::Single, tokens_), true})));
  mil::Function& function = *program.functions.front();
  function.outputs.resize(1);  // the logits; nobody wants the keys and values
  if (quantized != nullptr) {
    TRY(passes::quantize_linears(program, std::nullopt, choices, *quantized));
  }
  break_at_linears(function);
  Stages result;
  result.layer = layer;
  result.cut = TRY(passes::cut_at_breaks(function, {llama::leading_partition_inputs(), {}}));
  result.final_norm = result.head() - (all.rotated_gain ? 2 : 1);
  for (const passes::Partition& partition : result.cut.partitions) {
    Stages::Linears linears;
    for (const auto& op : partition.function->ops) {
      if (op->type != "linear") continue;
      const auto& inputs = partition.function->inputs;
      const auto at = std::find(inputs.begin(), inputs.end(), op->operand("x"));
      if (at == inputs.end()) return fail(ErrorCode::Internal, "a linear inside a stage");
      linears.input = partition.inputs[static_cast<size_t>(at - inputs.begin())];
      linears.weights.push_back(op->operand("weight")->weight);
    }
    result.linears.push_back(std::move(linears));
  }
  return result;
}

Status StagedModel::advance(size_t layer, const passes::LinearChoices& choices,
                            quant::Cache* quantized, std::vector<TextState>& states,
                            Progress& progress) {
  const Stages of_layer = TRY(stages(layer, choices, quantized));
  for (size_t stage = of_layer.first_of_layer(); stage < of_layer.end_of_layer(); ++stage) {
    TRY(run(of_layer, stage, states, progress));
  }
  of_layer.hand_on(states);
  return {};
}

Status StagedModel::run(const Stages& stages, size_t stage, std::vector<TextState>& states,
                        Progress& progress) {
  const passes::Partition& part = stages.cut.partitions[stage];
  engine::ExecutableOptions options;
  options.numerics = engine::Numerics::Precise;
  options.wide_ports = true;
  for (const size_t value : part.inputs) {
    options.token_axes.push_back(value < stages.cut.input_count ? engine::TokenAxis()
                                                                : engine::TokenAxis(kTokenAxis));
  }
  const auto executable = TRY(engine::Executable::compile(*part.function, options));
  const auto execution = TRY(engine::Execution::create(executable));
  std::vector<int32_t> tokens;
  for (size_t t = 0; t < texts_.size(); ++t) {
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    tokens.assign(texts_[t].begin(), texts_[t].end());
    tokens.resize(static_cast<size_t>(tokens_));
    execution->limit_tokens(static_cast<int64_t>(texts_[t].size()));
    for (size_t i = 0; i < part.inputs.size(); ++i) {
      const size_t value = part.inputs[i];
      const void* data = value < stages.cut.input_count ? method_input(value, stages.layer, tokens)
                                                        : states[t].at(value).data();
      TRY(execution->bind_input(i, data, executable->inputs()[i].type));
    }
    for (size_t i = 0; i < part.outputs.size(); ++i) {
      const TensorType& type = executable->outputs()[i].type;
      std::vector<float>& to = states[t][part.outputs[i]];
      to.resize(TRY(element_count(type.shape)));
      TRY(execution->bind_output(i, to.data(), type));
    }
    TRY(execution->run(*pool_));
    for (const size_t value : part.inputs) {
      if (!stages.needed_after(stage, value)) states[t].erase(value);
    }
  }
  return {};
}

Status StagedModel::run_final_norm(const Stages& stages, std::vector<TextState>& states,
                                   Progress& progress) {
  for (TextState& state : states) {
    std::vector<float> hidden = std::move(state.at(stages.hidden_in()));
    state[stages.hidden_out()] = std::move(hidden);
  }
  for (size_t stage = stages.final_norm; stage < stages.head(); ++stage) {
    TRY(run(stages, stage, states, progress));
  }
  return {};
}

Result<std::vector<std::vector<float>>> logits_of(StagedModel& model, Progress& progress) {
  progress.begin("running the source", model.layers() + 1);
  std::vector<TextState> states(model.texts().size());
  const Stages stages = TRY(model.stages(0, {}, nullptr));
  TRY(model.run(stages, 0, states, progress));
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    TRY(model.advance(layer, {}, nullptr, states, progress));
    progress.advance(1);
  }
  TRY(model.run_final_norm(stages, states, progress));
  TRY(model.run(stages, stages.head(), states, progress));
  progress.finish();
  std::vector<std::vector<float>> logits;
  for (TextState& state : states) logits.push_back(std::move(state.at(stages.logits())));
  return logits;
}

}  // namespace diptych::exporter
