// Tensors of every layout, brought to Meta's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "family_configs.h"
#include "llama/families.h"
#include "llama/weights.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Tensors = std::vector<std::pair<std::string, WeightRef>>;

Tensors tensors_for(const Description& model) {
  Tensors tensors;
  for (const ExpectedTensor& expected : expected_tensors(model.params, model.layout)) {
    tensors.emplace_back(expected.names.front(),
                         random_weight({DType::F32, expected.shape}, tensors.size()));
  }
  return tensors;
}

TEST(Layout, FusedMatricesComeApart) {
  const auto model = describe_hugging_face(config_of("Phi3ForCausalLM"));
  ASSERT_OK(model);
  Tensors tensors = tensors_for(*model);
  EXPECT_EQ(tensors[2].first, "model.layers.0.self_attn.qkv_proj.weight");
  EXPECT_EQ(tensors[2].second->shape(), (Shape{128, 64}));
  const auto weights = collect(model->params, tensors, model->layout);
  ASSERT_OK(weights);
  const LayerWeights& layer = weights->layers[0];
  const auto fused = read_floats(*tensors[2].second).value();
  // Row 1 of q is row head_dim/2 of the file's; v stays as it is.
  const auto q = read_floats(*layer.wq, 1, 1).value();
  EXPECT_TRUE(std::equal(q.begin(), q.end(), fused.begin() + 8 * 64));
  const auto v = read_floats(*layer.wv).value();
  EXPECT_TRUE(std::equal(v.begin(), v.end(), fused.begin() + 96 * 64));
  const WeightRef gate_up = tensors[5].second;
  EXPECT_EQ(tensors[5].first, "model.layers.0.mlp.gate_up_proj.weight");
  EXPECT_EQ(read_floats(*layer.w1).value(), read_floats(*gate_up, 0, 96).value());
  EXPECT_EQ(read_floats(*layer.w3).value(), read_floats(*gate_up, 96, 96).value());
}

TEST(Layout, NormsAndBiasesMoveWithTheirChannels) {
  const auto model = describe_hugging_face(config_of("Qwen3ForCausalLM"));
  ASSERT_OK(model);
  const Tensors tensors = tensors_for(*model);
  const auto weights = collect(model->params, tensors, model->layout);
  ASSERT_OK(weights);
  const auto norm = read_floats(*weights->layers[0].q_norm).value();
  for (const auto& [name, weight] : tensors) {
    if (name != "model.layers.0.self_attn.q_norm.weight") continue;
    const auto stored = read_floats(*weight).value();
    EXPECT_EQ(norm[1], stored[64]);
    EXPECT_EQ(norm[2], stored[1]);
  }
}

TEST(Layout, GainsLessOneBecomeWhole) {
  const auto model = describe_hugging_face(config_of("Gemma3ForCausalLM"));
  ASSERT_OK(model);
  Tensors tensors = tensors_for(*model);
  tensors.pop_back();  // lm_head, which is the embedding
  tensors.emplace_back("model.vision_tower.patch.weight", zeros({DType::F32, {3}}));
  const auto weights = collect(model->params, tensors, model->layout);
  EXPECT_THAT(weights.error().to_string(), HasSubstr("surplus: model.vision_tower.patch.weight"));
  Layout layout = model->layout;
  layout.beside_vision = true;
  const auto text = collect(model->params, tensors, layout);
  ASSERT_OK(text);
  for (const auto& [name, weight] : tensors) {
    if (name != "model.layers.1.post_attention_layernorm.weight") continue;
    const float stored = read_floats(*weight)->front();
    EXPECT_EQ(read_floats(*text->layers[1].post_attention_norm)->front(), 1 + stored);
  }
}

TEST(Layout, TheDivisorOfLogitsIsInTheFinalNorm) {
  auto model = describe_hugging_face(with(config_of("GraniteForCausalLM"), "logits_scaling", 4));
  ASSERT_OK(model);
  const auto weights = collect(model->params, tensors_for(*model), model->layout);
  ASSERT_OK(weights);
  const float stored = read_floats(*weights->norm)->front();
  const auto prepared = prepare(model->params, *weights, DType::F32);
  ASSERT_OK(prepared);
  EXPECT_EQ(read_floats(*prepared->tensors.norm)->front(), stored / 4);
}

TEST(Layout, ContradictionsBetweenConfigurationAndTensors) {
  auto model = describe_hugging_face(config_of("LlamaForCausalLM"));
  ASSERT_OK(model);
  Tensors tensors = tensors_for(*model);
  Layout tied = model->layout;
  tied.tied = Layout::Tied::Yes;
  EXPECT_THAT(collect(model->params, tensors, tied).error().to_string(),
              HasSubstr("lm_head.weight: differs from model.embed_tokens.weight"));
  tensors.pop_back();  // lm_head
  ASSERT_OK(collect(model->params, tensors, tied));
  model->params.hidden_dim = 98;
  EXPECT_THAT(collect(model->params, tensors, model->layout).error().to_string(),
              AllOf(HasSubstr("missing: lm_head.weight [99,64]"),
                    HasSubstr("model.layers.0.mlp.gate_proj.weight: expected floats [98,64], "
                              "found fp32[96,64]")));
}

}  // namespace
}  // namespace diptych::llama
