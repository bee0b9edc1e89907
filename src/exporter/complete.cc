#include "exporter/complete.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "exporter/recipe.h"
#include "exporter/rotations.h"
#include "exporter/sample_texts.h"
#include "exporter/staged_model.h"

namespace diptych::exporter {

namespace {

// Of the sample, as much as is calibrated on.
constexpr size_t kSampleTokens = 8192;
// Of a text, as much as the inputs of norms are looked at on.
constexpr size_t kNormTokens = 256;
// Squares of inputs up to this are far enough from what fp16 can hold: a quarter of it.
constexpr float kMostNormInput = 128;
// Of values between blocks: an eighth of what fp16 holds.
constexpr float kMostInStream = 8192;
constexpr double kLeastScale = 0x1p-10;
// The scale where they cannot be looked at: embeddings are about 1, and less is lost than gained.
constexpr double kUnseenScale = 1.0 / 32;

// Whether a linear is to be quantised by an algorithm that needs the inputs of a text.
bool wants_inputs(const Options& options) {
  const auto chosen = [](const std::optional<quant::Format>& format) {
    return format && format->kind != quant::Kind::Kept;
  };
  const auto& overrides = options.quantization.overrides;
  return quant::needs_inputs(options.quantization.algorithm) &&
         (chosen(options.linear) ||
          std::any_of(overrides.begin(), overrides.end(),
                      [&](const LinearOverride& row) { return chosen(row.format); }));
}

using TokenizerRef = std::unique_ptr<text::Tokenizer>;

// The model's tokenizer, or the one that is named; null when there is none.
Result<TokenizerRef> tokenizer_of(const Model& model, const std::string& path,
                                  const Options& options) {
  const std::string& named = options.card.tokenizer;
  auto tokenizer = model.card.has_tokenizer() ? card::open_tokenizer(model.card)
                                              : card::open_tokenizer(named.empty() ? path : named);
  if (tokenizer || tokenizer.error().code != ErrorCode::NotFound) return tokenizer;
  return TokenizerRef();
}

Result<std::vector<TokenText>> sample_of(const Model& model, const text::Tokenizer& tokenizer,
                                         const Options& options, size_t tokens) {
  return within("calibration", token_windows(calibration_sample(), tokenizer,
                                             {calibration_window(options.max_context_len), tokens,
                                              &model.card.chat_template}));
}

// The user's text, or the sample as the model's tokenizer cuts it. Without a tokenizer the
// algorithm becomes the one that needs no text, which a note says.
Status choose_calibration(const text::Tokenizer* tokenizer, Model& model, Options& options) {
  if (!wants_inputs(options) || !options.quantization.calibration.empty()) return {};
  if (tokenizer == nullptr) {
    options.quantization.algorithm = quant::info(options.quantization.algorithm).without_inputs;
    model.notes.push_back(fmt::format(
        "the model has no tokenizer to calibrate with: weights are quantised by {}, which is worse",
        quant::name(options.quantization.algorithm)));
    return {};
  }
  options.quantization.calibration = TRY(sample_of(model, *tokenizer, options, kSampleTokens));
  return check_calibration(options);
}

// The largest magnitude among what norms take.
Result<float> largest_norm_input(StagedModel& model, Progress& progress) {
  progress.begin("looking at norms", model.layers());
  std::vector<TextState> states(model.texts().size());
  float largest = 0;
  const auto look = [&](size_t value) {
    for (size_t t = 0; t < states.size(); ++t) {
      const std::vector<float>& hidden = states[t].at(value);
      const size_t width = hidden.size() / static_cast<size_t>(model.tokens());
      for (const float x : std::span(hidden).first(model.texts()[t].size() * width)) {
        largest = std::max(largest, std::fabs(x));
      }
    }
  };
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    const Stages stages = TRY(model.stages(layer, {}, nullptr));
    if (layer == 0) TRY(model.run(stages, 0, states, progress));
    look(stages.hidden_in());
    for (size_t stage = stages.first_of_layer(); stage < stages.end_of_layer(); ++stage) {
      TRY(model.run(stages, stage, states, progress));
      // What a stage passes on besides the inputs of linears is the sum of a layer so far.
      for (const size_t value : stages.cut.partitions[stage].outputs) {
        const bool of_linear = std::any_of(
            stages.linears.begin(), stages.linears.end(),
            [&](const Stages::Linears& row) { return !row.weights.empty() && row.input == value; });
        if (!of_linear) look(value);
      }
    }
    stages.hand_on(states);
    progress.advance(1);
  }
  progress.finish();
  return largest;
}

// Whether the stream between blocks may have to be scaled: in fp16, with norms of the safe form.
bool may_scale_residual(const Model& model, const Options& options) {
  return options.dtype == DType::F16 && model.params.scales_residual() && !options.residual_scale &&
         options.norm != llama::NormForm::Plain;
}

// The largest power of two that brings values up to `largest` to what fp16 holds with room for
// other texts.
double residual_scale_for(float largest) {
  double scale = 1;
  while (largest * scale > kMostInStream && scale > kLeastScale) scale /= 2;
  return scale;
}

// The safe form of norms where the plain one overflows in fp16 on a text, or comes near it; and
// where values themselves come near what fp16 holds, a scale for the stream between blocks.
Status choose_norm(const text::Tokenizer* tokenizer, Progress& progress, Model& model,
                   Options& options) {
  if (options.dtype != DType::F16) {
    if (!options.norm) options.norm = llama::NormForm::Plain;
    return {};
  }
  if (tokenizer == nullptr) {
    if (!options.norm) {
      model.notes.emplace_back(
          "the model has no tokenizer to look at its norms with: they are written in the safe "
          "form");
    }
    if (may_scale_residual(model, options)) options.residual_scale = kUnseenScale;
    options.norm = llama::NormForm::Safe;
    return {};
  }
  const llama::Params params = llama::for_context(model.params, options.max_context_len);
  const llama::PreparedWeights weights = TRY(llama::prepare_rotated(
      params, model.weights, TRY(rotations_of(params, model.weights, options)), options.dtype));
  ThreadPool pool(options.threads);
  StagedModel staged = TRY(StagedModel::create(
      params, weights, TRY(sample_of(model, *tokenizer, options, kNormTokens)), pool));
  const float largest = TRY(within("norms", largest_norm_input(staged, progress)));
  if (!options.norm && largest < kMostNormInput) {
    options.norm = llama::NormForm::Plain;
    return {};
  }
  if (!options.norm) {
    model.notes.push_back(fmt::format(
        "inputs of norms reach {:.0f}, whose squares {} in fp16: norms are written in the safe "
        "form",
        largest, largest * largest > 65504 ? "overflow" : "are near the largest number"));
  }
  if (may_scale_residual(model, options)) {
    options.residual_scale = residual_scale_for(largest);
    if (*options.residual_scale < 1) {
      model.notes.push_back(fmt::format(
          "values between blocks come near what fp16 holds: they are computed as 1/{:.0f} of "
          "themselves, which norms undo",
          1 / *options.residual_scale));
    }
  }
  options.norm = llama::NormForm::Safe;
  return {};
}

// complete_from_headers() with a tokenizer that is opened when it is needed, and then is
// `tokenizer`.
Status complete_by(const std::string& path, Model& model, Options& options,
                   std::optional<TokenizerRef>& tokenizer) {
  // Upstream's files are made to the bit.
  if (options.recipe != kUpstreamRecipe) model.card.recipe = options.recipe;
  // Bytes are shared within a package, and Apple's runtime of ExecuTorch takes one a partition.
  if (options.share_head && model.weights.tied() &&
      options.sharing == passes::WeightSharing::Positional) {
    options.graph_breaks = false;
  }
  if (!wants_inputs(options)) return {};
  tokenizer = TRY(tokenizer_of(model, path, options));
  return choose_calibration(tokenizer->get(), model, options);
}

}  // namespace

Status complete_from_headers(const std::string& path, Model& model, Options& options) {
  std::optional<TokenizerRef> tokenizer;
  return complete_by(path, model, options, tokenizer);
}

Status complete(const std::string& path, Progress& progress, Model& model, Options& options) {
  std::optional<TokenizerRef> tokenizer;
  TRY(complete_by(path, model, options, tokenizer));
  if (options.norm && !may_scale_residual(model, options)) return {};
  if (!tokenizer) tokenizer = TRY(tokenizer_of(model, path, options));
  return choose_norm(tokenizer->get(), progress, model, options);
}

}  // namespace diptych::exporter
