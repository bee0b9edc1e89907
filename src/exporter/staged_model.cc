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
  params_.n_layers = 1;
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
  const auto rows = static_cast<size_t>(tokens_), slots = static_cast<size_t>(kCacheSlots);
  inputs_.mask.assign(rows * (slots + rows), -std::numeric_limits<float>::infinity());
  for (size_t row = 0; row < rows; ++row) {
    const auto first = inputs_.mask.begin() + static_cast<int64_t>(row * (slots + rows) + slots);
    std::fill_n(first, row + 1, 0.0f);
  }
  const contract::RopeTables tables = TRY(llama::rope_tables(params_, tokens_, weights_->dtype));
  inputs_.cos = TRY(read_floats(*tables.cos));
  inputs_.sin = TRY(read_floats(*tables.sin));
  inputs_.cache.resize(slots * static_cast<size_t>(params_.kv_dim()));
  inputs_.places =
      TRY(contract::signature(llama::static_model(params_, kCacheSlots, weights_->dtype),
                              contract::method_of(contract::Role::Single, tokens_)))
          .places;
  return {};
}

const void* StagedModel::method_input(size_t index, const std::vector<int32_t>& tokens) const {
  const contract::Places& places = inputs_.places;
  if (index == places.tokens) return tokens.data();
  if (index == places.masks[0]) return inputs_.mask.data();
  if (index == places.cos[0]) return inputs_.cos.data();
  if (index == places.sin[0]) return inputs_.sin.data();
  return inputs_.cache.data();
}

Result<Stages> StagedModel::stages(size_t layer, const passes::LinearChoices& choices,
                                   quant::Cache* quantized) const {
  const llama::LlamaWeights& all = weights_->tensors;
  llama::PreparedWeights one{weights_->dtype, {}, weights_->zero_biases};
  one.tensors.tok_embeddings = all.tok_embeddings;
  one.tensors.layers = {all.layers[layer]};
  one.tensors.norm = all.norm;
  one.tensors.output = all.output;
  mil::Program program;
  program.functions.push_back(
      TRY(llama::build(params_, one,
                       {llama::static_model(params_, kCacheSlots, weights_->dtype),
                        contract::method_of(contract::Role::Single, tokens_), true})));
  mil::Function& function = *program.functions.front();
  function.outputs.resize(1);  // the logits; nobody wants the keys and values
  if (quantized != nullptr) {
    TRY(passes::quantize_linears(program, std::nullopt, choices, *quantized));
  }
  break_at_linears(function);
  Stages result;
  result.cut = TRY(passes::cut_at_breaks(function, {llama::leading_partition_inputs(), {}}));
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
      const void* data =
          value < stages.cut.input_count ? method_input(value, tokens) : states[t].at(value).data();
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
  return run(stages, stages.end_of_layer(), states, progress);
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
