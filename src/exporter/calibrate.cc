#include "exporter/calibrate.h"

#include <algorithm>

#include "exporter/staged_model.h"

namespace diptych::exporter {

namespace {

// Matrices of an input that are in memory: moments, the factor, the parts of the weights at hand.
constexpr uint64_t kMatrices = 3;

class Calibration {
 public:
  Calibration(const std::vector<NamedLinear>& linears, quant::Cache& quantized, Progress& progress,
              StagedModel model, ThreadPool& pool)
      : quantized_(quantized), progress_(progress), model_(std::move(model)), pool_(pool) {
    for (const NamedLinear& linear : linears) {
      if (linear.how && quant::needs_inputs(linear.how->algorithm)) {
        wanted_[linear.weight.get()] = &linear;
      } else if (&linear != &linears.back()) {  // no linear's input depends on the head
        choices_[linear.weight.get()] = linear.how;
      }
    }
  }

  Result<std::map<std::string, quant::OutputError>> run() {
    progress_.begin("calibrating", wanted_.size());
    states_.resize(model_.texts().size());
    for (size_t layer = 0; layer < model_.layers(); ++layer) {
      TRY(within(fmt::format("layer {}", layer), advance(layer)));
    }
    TRY(within("head", finish()));
    progress_.finish();
    return std::move(errors_);
  }

 private:
  // Quantises a layer, stage by stage: each linear sees the texts as those before it leave them
  // once quantised.
  Status advance(size_t layer) {
    const Stages original = TRY(model_.stages(layer, {}, nullptr));
    if (layer == 0) TRY(model_.run(original, 0, states_, progress_));
    for (size_t stage = original.first_of_layer(); stage < original.end_of_layer(); ++stage) {
      TRY(quantize(original, stage));
      const Stages quantized = TRY(model_.stages(layer, choices_, &quantized_));
      TRY(model_.run(quantized, stage, states_, progress_));
    }
    original.hand_on(states_);
    return {};
  }

  Status finish() {
    const Stages last = TRY(model_.stages(model_.layers() - 1, {}, nullptr));
    if (!wanted_.contains(last.linears[last.head()].weights.front().get())) return {};
    TRY(model_.run_final_norm(last, states_, progress_));
    return quantize(last, last.head());
  }

  // Quantises the wanted linears of a stage for the inputs that they have.
  Status quantize(const Stages& stages, size_t stage) {
    const Stages::Linears& linears = stages.linears[stage];
    std::vector<WeightRef> weights;
    for (const WeightRef& weight : linears.weights) {
      if (wanted_.contains(weight.get())) weights.push_back(weight);
    }
    if (weights.empty()) return {};
    const size_t width = weights.front()->row_elements();
    quant::Hessian hessian(width);
    for (size_t t = 0; t < states_.size(); ++t) {
      if (progress_.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
      const std::vector<float>& inputs = states_[t].at(linears.input);
      hessian.add(std::span(inputs).first(model_.texts()[t].size() * width), pool_);
    }
    const quant::GptqFactor factor = TRY(quant::factorize(hessian, pool_));
    for (const WeightRef& weight : weights) {
      if (progress_.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
      const auto found = wanted_.find(weight.get());
      const NamedLinear& linear = *found->second;
      quant::GptqWeight made =
          TRY(quant::quantize_gptq(*weight, linear.how->format, factor, linear.tensor, pool_));
      if (made.output_error.chosen > made.output_error.rounded) {
        made.quantized = TRY(quant::quantize(weight, {linear.how->format}, linear.tensor));
        made.output_error.chosen = made.output_error.rounded;
      }
      errors_[linear.tensor] = made.output_error;
      quantized_.remember(weight, *linear.how, std::move(made.quantized));
      choices_[weight.get()] = linear.how;
      wanted_.erase(found);
      progress_.advance(1);
    }
    return {};
  }

  quant::Cache& quantized_;
  Progress& progress_;
  StagedModel model_;
  ThreadPool& pool_;
  passes::LinearChoices choices_;                       // of linears that are quantised
  std::map<const Weight*, const NamedLinear*> wanted_;  // those that gptq has yet to quantise
  std::vector<TextState> states_;                       // by text
  std::map<std::string, quant::OutputError> errors_;
};

}  // namespace

Result<std::map<std::string, quant::OutputError>> calibrate(const llama::Params& params,
                                                            const llama::PreparedWeights& weights,
                                                            const std::vector<NamedLinear>& linears,
                                                            const Options& options,
                                                            quant::Cache& quantized,
                                                            Progress& progress) {
  ThreadPool pool(options.threads);
  StagedModel model = TRY(within(
      "calibration", StagedModel::create(params, weights, options.quantization.calibration, pool)));
  return within("calibration",
                Calibration(linears, quantized, progress, std::move(model), pool).run());
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
