// Models whose values between blocks leave fp16, which a scale brings back.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "exported_logits.h"
#include "exporter/complete.h"
#include "exporter/export.h"
#include "exporter/source.h"
#include "exporter/staged_model.h"
#include "tensor/affine.h"
#include "testing/relative_distance.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych::exporter {
namespace {

using ::diptych::testing::relative_distance;

constexpr int64_t kScaledContext = 32, kScaledVocab = 96;
const std::vector<int64_t> kScaledTokens = {1, 30, 41, 77, 50, 12, 9, 26, 33, 48, 90, 5};

class ResidualScale : public ::testing::Test {
 protected:
  // A Gemma 3 whose first layer adds values that are `gain` times as large.
  Model model_of(double gain) {
    tools::SynthOptions synth;
    synth.shape = fmt::format("dim=32,layers=3,heads=4,kv_heads=2,hidden=64,vocab={},head_dim=16",
                              kScaledVocab);
    synth.family = "gemma3";
    synth.form = tools::SynthForm::HuggingFace;
    synth.directory = directory_;
    synth.force = true;
    ThreadPool pool(1);
    EXPECT_TRUE(tools::synth(synth, pool, silent_));
    Model model = open_model(directory_, "").value();
    WeightRef& post = model.weights.layers[0].post_ffn_norm;
    post = affine(post, gain, 0);
    return model;
  }

  std::vector<float> exact(const Model& model) {
    const llama::Params params = llama::for_context(model.params, kScaledContext);
    const auto weights = llama::prepare(params, model.weights, DType::F32).value();
    ThreadPool pool(1);
    StagedModel staged = StagedModel::create(params, weights, {kScaledTokens}, pool).value();
    std::vector<float> logits = logits_of(staged, silent_)->front();
    logits.resize(kScaledTokens.size() * kScaledVocab);
    return logits;
  }

  std::vector<float> exported(const Model& model, const Options& options) {
    // Every value is rounded to the program's type, as where Core ML runs it.
    return testing::exported_logits(model.params, model.weights, options, directory_ + "/x.pte",
                                    kScaledTokens, engine::Numerics::Typed);
  }

  static Options options_of(DType dtype, std::optional<double> scale) {
    Options options;
    options.max_context_len = kScaledContext;
    options.input_len = 8;
    options.multifunction = true;
    options.dtype = dtype;
    options.linear = options.embedding = std::nullopt;
    options.norm = llama::NormForm::Safe;
    options.residual_scale = scale;
    return options;
  }

  const std::string directory_ = testing::temporary_directory() + "/gemma";
  Progress silent_;
};

TEST_F(ResidualScale, ChangesNoResult) {
  const Model model = model_of(1);
  EXPECT_LT(relative_distance(exported(model, options_of(DType::F32, 1.0 / 64)), exact(model)),
            1e-4);
}

TEST_F(ResidualScale, BringsValuesIntoWhatHalvesHold) {
  const Model model = model_of(5e4);
  const std::vector<float> expected = exact(model);
  EXPECT_GT(relative_distance(exported(model, options_of(DType::F16, 1)), expected), 0.1);
  EXPECT_LT(relative_distance(exported(model, options_of(DType::F16, 1.0 / 64)), expected), 0.05);
}

// Without a tokenizer there is no text to look at values with.
TEST_F(ResidualScale, IsChosenWithTheSafeForm) {
  Model model = model_of(1);
  for (const bool plain : {false, true}) {
    Options options = options_of(DType::F16, std::nullopt);
    if (plain) options.norm = llama::NormForm::Plain;
    ASSERT_OK(complete(directory_, silent_, model, options));
    EXPECT_EQ(options.residual_scale.has_value(), !plain);
  }
  Model llama = open_model(testing::source_path("demo/model.pth"), "").value();
  Options options = options_of(DType::F16, std::nullopt);
  ASSERT_OK(complete(testing::source_path("demo/model.pth"), silent_, llama, options));
  EXPECT_FALSE(options.residual_scale);
}

}  // namespace
}  // namespace diptych::exporter
