// Rotations change no result, whatever parts a model has; and who cannot have them is told so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "exported_logits.h"
#include "exporter/complete.h"
#include "exporter/export.h"
#include "exporter/recipe.h"
#include "exporter/rotations.h"
#include "exporter/source.h"
#include "exporter/staged_model.h"
#include "tensor/affine.h"
#include "testing/adapter.h"
#include "testing/relative_distance.h"
#include "testing/shared_data.h"

namespace diptych::exporter {
namespace {

using ::diptych::testing::relative_distance;
using ::testing::HasSubstr;

constexpr int64_t kContext = 32;
const std::vector<int64_t> kTokens = {1, 30, 41, 77, 50, 12, 9, 26, 33, 48, 90, 5};
constexpr llama::Rotations kAll{true, true};

struct Case {
  const char* name;
  bool tied;
  void (*change)(llama::Params& params);
};

void change_nothing(llama::Params&) {}
void add_biases(llama::Params& params) {
  params.attention_qkv_bias = params.attention_output_bias = params.ffn_bias = true;
}
void norm_heads(llama::Params& params) {
  params.use_qk_norm = params.qk_norm_before_rope = params.use_hf_rope = true;
}
void norm_queries_whole(llama::Params& params) {
  params.use_qk_norm = params.qk_norm_before_rope = params.qk_norm_whole = true;
}
void multiply(llama::Params& params) {  // as Granite
  params.embedding_scale_factor = 12;
  params.residual_multiplier = 0.22;
  params.attention_multiplier = 0.1;
  params.logits_scaling = 8;
}
void cap(llama::Params& params) {
  params.attn_logit_softcapping = 20;
  params.final_logit_softcapping = 5;
}

const Case kCases[] = {
    {"tied", true, change_nothing},
    {"untied", false, change_nothing},
    {"biases", true, add_biases},
    {"qk_norm", false, norm_heads},
    {"qk_norm_whole", true, norm_queries_whole},
    {"multipliers", true, multiply},
    {"multipliers_untied", false, multiply},
    {"caps", false, cap},
};

class Rotated : public ::testing::TestWithParam<Case> {
 protected:
  static llama::Params params_of(const Case& of) {
    llama::Params params;
    params.dim = 48;
    params.n_layers = 3;
    params.n_heads = 4;
    params.n_kv_heads = 2;
    params.head_dim = 24;
    params.hidden_dim = 40;
    params.vocab_size = 96;
    of.change(params);
    return params;
  }

  // Random ones, of about the sizes that those of models have.
  static llama::LlamaWeights weights_of(const llama::Params& params, bool tied) {
    std::vector<std::pair<std::string, WeightRef>> tensors;
    uint64_t seed = 7;
    for (const llama::ExpectedTensor& expected : llama::expected_tensors(params)) {
      const std::string& name = expected.names.front();
      if (tied && name == "output.weight") continue;
      WeightRef weight = random_weight({DType::F32, expected.shape}, ++seed);
      if (name.find("norm") != name.npos) {
        weight = affine(weight, 0.5, 1);
      } else if (expected.shape.size() == 2) {
        weight = affine(weight, std::sqrt(3.0 / static_cast<double>(expected.shape[1])), 0);
      }
      tensors.emplace_back(name, weight);
    }
    return llama::collect(params, tensors).value();
  }

  std::vector<float> staged(const llama::Params& params, const llama::PreparedWeights& weights) {
    ThreadPool pool(2);
    StagedModel model = StagedModel::create(params, weights, {kTokens}, pool).value();
    return logits_of(model, silent_).value().front();
  }

  std::vector<float> exported(const llama::Params& params, const llama::LlamaWeights& weights,
                              const Options& options) {
    const std::string path =
        fmt::format("{}/rotated_{}.pte", testing::temporary_directory(), GetParam().name);
    return testing::exported_logits(params, weights, options, path, kTokens,
                                    engine::Numerics::Precise);
  }

  static Options options_of(llama::Rotations rotations) {
    Options options;
    options.max_context_len = kContext;
    options.input_len = 8;
    options.multifunction = true;
    options.dtype = DType::F32;
    options.linear = options.embedding = std::nullopt;
    options.rotations = rotations;
    return options;
  }

  Progress silent_;
};

TEST_P(Rotated, ChangesNoResult) {
  const llama::Params params = params_of(GetParam());
  const llama::LlamaWeights weights = weights_of(params, GetParam().tied);
  const std::vector<float> expected =
      staged(params, llama::prepare(params, weights, DType::F32).value());
  for (const llama::Rotations rotations : {llama::Rotations{false, true}, {true, false}, kAll}) {
    const Options options = options_of(rotations);
    const auto rotated = llama::prepare_rotated(params, weights, rotations, DType::F32).value();
    EXPECT_EQ(rotated.tensors.tied(), GetParam().tied);
    EXPECT_EQ(rotated.tensors.rotated_gain != nullptr, rotations.stream && GetParam().tied);
    EXPECT_LT(relative_distance(staged(params, rotated), expected), 1e-5);
    EXPECT_LT(relative_distance(exported(params, weights, options),
                                exported(params, weights, options_of({}))),
              1e-5);
  }
}

// The head and the gain before it are calibrated and run as stages of their own.
class RotatedAndQuantised : public Rotated {};

TEST_P(RotatedAndQuantised, IsAsNearAsItsBits) {
  const llama::Params params = params_of(GetParam());
  const llama::LlamaWeights weights = weights_of(params, GetParam().tied);
  Options options = options_of(kAll);
  options.linear = quant::kC4w;
  options.quantization.algorithm = quant::Algorithm::Gptq;
  options.quantization.bits = 5;
  for (int i = 0; i < 24; ++i) options.quantization.calibration.push_back(kTokens);
  for (const bool share_head : {false, true}) {
    options.share_head = share_head;
    options.graph_breaks = !share_head;
    options.embedding = quant::Format{8, 0};
    EXPECT_LT(relative_distance(exported(params, weights, options),
                                exported(params, weights, options_of({}))),
              0.5);
  }
}

constexpr auto name_of = [](const auto& of) { return of.param.name; };
INSTANTIATE_TEST_SUITE_P(All, Rotated, ::testing::ValuesIn(kCases), name_of);
INSTANTIATE_TEST_SUITE_P(Some, RotatedAndQuantised, ::testing::Values(kCases[0], kCases[1]),
                         name_of);

// --- Who can have them ---

llama::Rotations chosen(const llama::Params& params, const Options& options,
                        const llama::LlamaWeights& weights = {}) {
  return rotations_of(params, weights, options).value();
}

TEST(Rotations, OfTheStreamAreForNormsOfWhatBlocksTake) {
  llama::Params params;
  Options options;
  EXPECT_FALSE(chosen(params, options).any());  // as upstream
  options.rotations.reset();
  EXPECT_EQ(chosen(params, options), (llama::Rotations{true, false}));
  params.post_norms = true;
  EXPECT_EQ(chosen(params, options), (llama::Rotations{false, true}));
  params.pre_norms = false;
  EXPECT_EQ(chosen(params, options), (llama::Rotations{false, true}));
  options.rotations = kAll;
  EXPECT_EQ(rotations_of(params, {}, options).error().message,
            "the values between this model's blocks cannot be rotated: its blocks normalise what "
            "they add; the values of its heads can");
  EXPECT_EQ(llama::prepare_rotated(params, {}, kAll, DType::F16).error().message,
            "a model of these parameters has no rotation \"all\"");
  params = {};
  params.dim = 2 * 1031;
  EXPECT_EQ(rotations_of(params, {}, options).error().message,
            "widths of 2062 and 128 cannot be rotated: an odd factor of more than 1024 is too "
            "large");
}

TEST(Rotations, AreNotBesideAdaptersAndKeptCodes) {
  llama::Params params;
  Options options;
  llama::LlamaWeights adapted;
  adapted.adapters.emplace_back();
  Options keeping;
  keeping.quantization.overrides.push_back(override_from_text("layers.0.*=keep").value());
  for (Options* of : {&options, &keeping}) {
    const llama::LlamaWeights& weights = of == &options ? adapted : llama::LlamaWeights();
    of->rotations.reset();
    EXPECT_FALSE(chosen(params, *of, weights).any());
    of->rotations = kAll;
    EXPECT_THAT(rotations_of(params, weights, *of).error().message,
                HasSubstr(of == &options ? "beside adapters" : "kept as a GGUF has them"));
  }
}

TEST(Rotations, AreARecipes) {
  for (const Recipe& recipe : recipes()) {
    Options options;
    apply(recipe, options);
    EXPECT_EQ(!options.rotations, recipe.rotate) << recipe.name;
    EXPECT_FALSE(recipe.rotate && recipe.name == kUpstreamRecipe);
  }
}

}  // namespace
}  // namespace diptych::exporter
