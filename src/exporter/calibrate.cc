#include "exporter/calibrate.h"

#include <algorithm>
#include <map>
#include <span>

#include "contract/signature.h"
#include "engine/executable.h"
#include "llama/graph.h"
#include "llama/rope.h"
#include "llama/static_model.h"
#include "passes/cut_at_breaks.h"
#include "passes/quantize_linears.h"

namespace diptych::exporter {

namespace {

// The slots that the caches have: one that nobody sees, for there must be some.
constexpr int64_t kCacheSlots = 1;

// The partitions of a method with graph breaks.
constexpr size_t kEmbedding = 0, kLayers = 1, kHead = 2;

// Moments, drift and factor of an input: [width, width].
constexpr uint64_t kMatrices = 3;

// What a method of T tokens takes, in the engine's wide form.
struct MethodInputs {
  std::vector<int32_t> tokens;  // [T]
  std::vector<float> mask;      // [T, 1 + T], causal
  std::vector<float> cos, sin;  // [T, rope_dim]
  std::vector<float> cache;     // one layer's, zeros
  std::vector<float> hidden;    // [T, D], between partitions

  contract::Places places;

  // The input of a method at its place in the method's signature.
  const void* at(size_t index) const {
    if (index == places.tokens) return tokens.data();
    if (index == places.masks[0]) return mask.data();
    if (index == places.cos[0]) return cos.data();
    if (index == places.sin[0]) return sin.data();
    return cache.data();
  }
};

Result<MethodInputs> method_inputs(const llama::Params& params, int64_t tokens, DType dtype,
                                   float hidden) {
  const auto rows = static_cast<size_t>(tokens), slots = static_cast<size_t>(kCacheSlots);
  MethodInputs inputs;
  inputs.tokens.resize(rows);
  inputs.mask.assign(rows * (slots + rows), hidden);
  for (size_t row = 0; row < rows; ++row) {
    const auto first = inputs.mask.begin() + static_cast<int64_t>(row * (slots + rows) + slots);
    std::fill_n(first, row + 1, 0.0f);
  }
  const contract::RopeTables tables = TRY(llama::rope_tables(params, tokens, dtype));
  inputs.cos = TRY(read_floats(*tables.cos));
  inputs.sin = TRY(read_floats(*tables.sin));
  inputs.cache.resize(slots * static_cast<size_t>(params.kv_dim()));
  inputs.hidden.resize(rows * static_cast<size_t>(params.dim));
  inputs.places = TRY(contract::signature(llama::static_model(params, kCacheSlots, dtype),
                                          contract::method_of(contract::Role::Single, tokens)))
                      .places;
  return inputs;
}

// One partition, compiled, with buffers for its outputs.
class Stage {
 public:
  static Result<Stage> compile(const passes::CutMethod& cut, size_t partition,
                               const MethodInputs& inputs) {
    engine::ExecutableOptions options;
    options.numerics = engine::Numerics::Precise;
    options.wide_ports = true;
    const passes::Partition& part = cut.partitions[partition];
    auto executable = TRY(engine::Executable::compile(*part.function, options));
    Stage stage;
    stage.execution_ = TRY(engine::Execution::create(executable));
    for (size_t i = 0; i < part.inputs.size(); ++i) {
      const bool of_method = part.inputs[i] < cut.input_count;
      const void* data = of_method ? inputs.at(part.inputs[i]) : inputs.hidden.data();
      TRY(stage.execution_->bind_input(i, data, executable->inputs()[i].type));
    }
    stage.outputs_.resize(executable->outputs().size());
    for (size_t i = 0; i < stage.outputs_.size(); ++i) {
      const TensorType& type = executable->outputs()[i].type;
      stage.outputs_[i].resize(TRY(element_count(type.shape)));
      TRY(stage.execution_->bind_output(i, stage.outputs_[i].data(), type));
    }
    return stage;
  }

  Status run(ThreadPool& pool) { return execution_->run(pool); }
  // Valid until the next run.
  const std::vector<float>& output(size_t index) const { return outputs_[index]; }

 private:
  std::unique_ptr<engine::Execution> execution_;
  std::vector<std::vector<float>> outputs_;
};

// The place among a partition's outputs of what the next partition takes.
Result<size_t> handed_on(const passes::CutMethod& cut, size_t partition) {
  const std::vector<size_t>& outputs = cut.partitions[partition].outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& next = cut.partitions[partition + 1].inputs;
    if (std::find(next.begin(), next.end(), outputs[i]) != next.end()) return i;
  }
  return fail(ErrorCode::Internal, "partition {} hands nothing on", partition);
}

// Makes a partition give, in place of its results, the input of the first linear whose weight is
// among `wanted`; the result is the weights of all linears that have this input, none when there
// is no such linear.
std::vector<WeightRef> watch_first(mil::Function& function,
                                   const std::map<const Weight*, const NamedLinear*>& wanted) {
  std::vector<WeightRef> weights;
  mil::Value* input = nullptr;
  for (const auto& op : function.ops) {
    if (op->type != "linear") continue;
    const WeightRef& weight = op->operand("weight")->weight;
    if (!wanted.contains(weight.get())) continue;
    if (input == nullptr) input = op->operand("x");
    if (op->operand("x") == input) weights.push_back(weight);
  }
  if (input == nullptr) return {};
  function.outputs = {input};
  function.remove_dead();
  return weights;
}

class Calibration {
 public:
  Calibration(const llama::Params& params, const llama::PreparedWeights& weights,
              const std::vector<NamedLinear>& linears, const Options& options,
              quant::Cache& quantized, Progress& progress)
      : params_(params),
        weights_(weights),
        texts_(options.quantization.calibration),
        norm_(options.norm),
        hidden_entry_(options.finite_mask ? contract::kFiniteHidden : contract::Model().hidden),
        quantized_(quantized),
        progress_(progress),
        pool_(options.threads) {
    params_.n_layers = 1;
    for (const NamedLinear& linear : linears) {
      if (linear.how && quant::needs_inputs(linear.how->algorithm)) {
        wanted_[linear.weight.get()] = &linear;
      } else if (&linear != &linears.back()) {  // no linear's input depends on the head
        choices_[linear.weight.get()] = linear.how;
      }
    }
    for (const auto& text : texts_) {
      tokens_ = std::max(tokens_, static_cast<int64_t>(text.size()));
    }
  }

  Result<std::map<std::string, quant::OutputError>> run() {
    for (const auto& text : texts_) {
      for (const int64_t token : text) {
        if (token >= 0 && token < params_.vocab_size) continue;
        return invalid_argument("token {} is outside the vocabulary, expected 0 to {}", token,
                                params_.vocab_size - 1);
      }
    }
    inputs_ = TRY(method_inputs(params_, tokens_, weights_.dtype, hidden_entry_));
    const size_t layers = weights_.tensors.layers.size();
    progress_.begin("calibrating", wanted_.size());
    TRY(embed());
    for (size_t layer = 0; layer < layers; ++layer) {
      TRY(within(fmt::format("layer {}", layer), quantize(layer, kLayers)));
      TRY(within(fmt::format("layer {}", layer), advance(layer)));
    }
    TRY(within("head", quantize(layers - 1, kHead)));
    progress_.finish();
    return std::move(errors_);
  }

 private:
  // The method of a model that has one layer of ours, in its partitions.
  Result<passes::CutMethod> one_layer(size_t layer, bool quantized) {
    const llama::LlamaWeights& all = weights_.tensors;
    llama::PreparedWeights one{weights_.dtype, {}, weights_.zero_biases};
    one.tensors.tok_embeddings = all.tok_embeddings;
    one.tensors.layers = {all.layers[layer]};
    one.tensors.norm = all.norm;
    one.tensors.output = all.output;
    mil::Program program;
    program.functions.push_back(
        TRY(llama::build(params_, one,
                         {llama::static_model(params_, kCacheSlots, weights_.dtype),
                          contract::method_of(contract::Role::Single, tokens_), true, norm_})));
    if (quantized) {
      TRY(passes::quantize_linears(program, std::nullopt, choices_, quantized_));
    }
    return passes::cut_at_breaks(*program.functions.front(),
                                 {llama::leading_partition_inputs(), {}});
  }

  Status check_interrupt() {
    if (progress_.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    return {};
  }

  Status embed() {
    const passes::CutMethod cut = TRY(one_layer(0, false));
    Stage stage = TRY(Stage::compile(cut, kEmbedding, inputs_));
    for (const auto& text : texts_) {
      TRY(check_interrupt());
      std::fill(inputs_.tokens.begin(), inputs_.tokens.end(), 0);
      std::copy(text.begin(), text.end(), inputs_.tokens.begin());
      TRY(stage.run(pool_));
      hidden_.push_back(stage.output(0));
    }
    intended_ = hidden_;
    return {};
  }

  // The method of a model that has one layer of ours, as far as that is quantised or as it is
  // meant to be; the partition gives the first input of linears that are to be quantised yet.
  struct Watched {
    passes::CutMethod cut;
    std::vector<WeightRef> weights;  // of the linears that have this input

    size_t width() const { return weights.front()->row_elements(); }  // of the input
  };
  Result<Watched> watch(size_t layer, size_t partition, bool quantized) {
    Watched watched{TRY(one_layer(layer, quantized)), {}};
    watched.weights = watch_first(*watched.cut.partitions[partition].function, wanted_);
    return watched;
  }

  // Quantises the linears of a partition, one input after another: each sees the texts as the
  // linears before it leave them once quantised.
  Status quantize(size_t layer, size_t partition) {
    for (;;) {
      const Watched watched = TRY(watch(layer, partition, true));
      if (watched.weights.empty()) return {};
      const Watched intended = TRY(watch(layer, partition, false));
      Stage stage = TRY(Stage::compile(watched.cut, partition, inputs_));
      Stage intended_stage = TRY(Stage::compile(intended.cut, partition, inputs_));
      quant::Hessian hessian(watched.width());
      quant::Drift drift(watched.width());
      for (size_t i = 0; i < texts_.size(); ++i) {
        TRY(check_interrupt());
        const size_t size = texts_[i].size() * watched.width();
        const std::span<const float> inputs = TRY(run(stage, hidden_[i])).first(size);
        hessian.add(inputs, pool_);
        drift.add(TRY(run(intended_stage, intended_[i])).first(size), inputs, pool_);
      }
      const quant::GptqFactor factor = TRY(quant::factorize(hessian, pool_));
      for (const WeightRef& weight : watched.weights) {
        TRY(check_interrupt());
        const auto found = wanted_.find(weight.get());
        const NamedLinear& linear = *found->second;
        quant::GptqWeight made = TRY(
            quant::quantize_gptq(*weight, linear.how->format, factor, drift, linear.tensor, pool_));
        errors_[linear.tensor] = made.output_error;
        quantized_.remember(weight, *linear.how, std::move(made.quantized));
        choices_[weight.get()] = linear.how;
        wanted_.erase(found);
        progress_.advance(1);
      }
    }
  }

  // An output for a hidden state; valid until the stage runs again.
  Result<std::span<const float>> run(Stage& stage, const std::vector<float>& hidden,
                                     size_t output = 0) {
    std::copy(hidden.begin(), hidden.end(), inputs_.hidden.begin());
    TRY(stage.run(pool_));
    return std::span(stage.output(output));
  }

  // The texts go through a layer as it is once quantised, and as it is meant to be.
  Status advance(size_t layer) {
    TRY(advance(layer, true, hidden_));
    return advance(layer, false, intended_);
  }
  Status advance(size_t layer, bool quantized, std::vector<std::vector<float>>& states) {
    const passes::CutMethod cut = TRY(one_layer(layer, quantized));
    const size_t output = TRY(handed_on(cut, kLayers));
    Stage stage = TRY(Stage::compile(cut, kLayers, inputs_));
    for (std::vector<float>& hidden : states) {
      TRY(check_interrupt());
      const std::span<const float> after = TRY(run(stage, hidden, output));
      hidden.assign(after.begin(), after.end());
    }
    return {};
  }

  llama::Params params_;  // of one layer
  const llama::PreparedWeights& weights_;
  const std::vector<std::vector<int64_t>>& texts_;
  const llama::NormForm norm_;
  const float hidden_entry_;  // of masks
  quant::Cache& quantized_;
  Progress& progress_;
  ThreadPool pool_;
  passes::LinearChoices choices_;                       // of linears that are quantised
  std::map<const Weight*, const NamedLinear*> wanted_;  // those that gptq has yet to quantise
  int64_t tokens_ = 0;                                  // of the longest text
  MethodInputs inputs_;
  // By text: [tokens_, D] before the layer at hand, and the same without quantisation.
  std::vector<std::vector<float>> hidden_, intended_;
  std::map<std::string, quant::OutputError> errors_;
};

}  // namespace

Result<std::map<std::string, quant::OutputError>> calibrate(const llama::Params& params,
                                                            const llama::PreparedWeights& weights,
                                                            const std::vector<NamedLinear>& linears,
                                                            const Options& options,
                                                            quant::Cache& quantized,
                                                            Progress& progress) {
  return within("calibration",
                Calibration(params, weights, linears, options, quantized, progress).run());
}

uint64_t calibration_bytes(const llama::Params& params, const std::vector<NamedLinear>& linears,
                           const Options& options) {
  uint64_t codes = 0, widest = 0;
  for (const NamedLinear& linear : linears) {
    if (!linear.how || !quant::needs_inputs(linear.how->algorithm)) continue;
    codes += linear.weight->elements() * static_cast<uint64_t>(linear.how->format.bits) / 8;
    widest = std::max(widest, linear.weight->row_elements());
  }
  if (widest == 0) return 0;
  uint64_t texts = options.quantization.calibration.size(), longest = 0;
  for (const auto& text : options.quantization.calibration) {
    longest = std::max<uint64_t>(longest, text.size());
  }
  const uint64_t hidden = texts * longest * static_cast<uint64_t>(params.dim) * sizeof(float);
  return codes + kMatrices * widest * widest * sizeof(float) + 2 * hidden;
}

}  // namespace diptych::exporter
