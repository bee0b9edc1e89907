#include "llama/layer_kinds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::optional<size_t> kNone;

Json config_of_layers(std::string_view architecture, int64_t layers,
                      const Json& more = Json::object()) {
  Json config = {{"architectures", {architecture}},
                 {"hidden_size", 64},
                 {"intermediate_size", 96},
                 {"num_hidden_layers", layers},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"vocab_size", 99}};
  config.update(more);
  return config;
}

std::string refusal(const Json& config) {
  const auto model = describe_hugging_face(config);
  return model ? "described" : model.error().to_string();
}

std::vector<std::optional<size_t>> ropes(const Params& params) {
  std::vector<std::optional<size_t>> tables;
  for (const LayerParams& layer : params.layers) tables.push_back(layer.rope);
  return tables;
}

TEST(LayerKinds, EveryFourthLayerIsNotRotated) {
  const auto rule = describe_hugging_face(config_of_layers("SmolLM3ForCausalLM", 5));
  ASSERT_OK(rule);
  EXPECT_THAT(ropes(rule->params), ElementsAre(0, 0, 0, kNone, 0));
  EXPECT_EQ(rule->params.ropes.size(), 1u);
  EXPECT_EQ(rule->params.ropes[0].theta, 2e6);
  const auto other = describe_hugging_face(
      config_of_layers("SmolLM3ForCausalLM", 4, {{"no_rope_layer_interval", 2}}));
  EXPECT_THAT(ropes(other->params), ElementsAre(0, kNone, 0, kNone));
  const auto list = describe_hugging_face(
      config_of_layers("SmolLM3ForCausalLM", 3, {{"no_rope_layers", {0, 1, 1}}}));
  EXPECT_THAT(ropes(list->params), ElementsAre(kNone, 0, 0));
  const auto all = describe_hugging_face(
      config_of_layers("SmolLM3ForCausalLM", 3, {{"no_rope_layers", {1, 1, 1}}}));
  EXPECT_THAT(all->params.layers, IsEmpty());
}

TEST(LayerKinds, ListsThatDoNotFit) {
  const auto smollm = [](const Json& more) {
    return refusal(config_of_layers("SmolLM3ForCausalLM", 2, more));
  };
  EXPECT_THAT(smollm({{"no_rope_layers", {1}}}), HasSubstr("expected a list of 2 layers"));
  EXPECT_THAT(smollm({{"no_rope_layers", {1, 2}}}), HasSubstr("expected 0 or 1, found 2"));
  EXPECT_THAT(smollm({{"no_rope_layers", {0, 0}}}), HasSubstr("no layer has RoPE"));
  EXPECT_THAT(smollm({{"layer_types", {"full_attention", "sliding_attention"}}}),
              HasSubstr("layer_types: \"sliding_attention\""));
  EXPECT_THAT(
      refusal(config_of_layers("Gemma2ForCausalLM", 2, {{"layer_types", {"full_attention"}}})),
      HasSubstr("layer_types: expected a list of 2"));
}

TEST(LayerKinds, EverySixthLayerSeesAllAndHasABaseOfItsOwn) {
  const auto model = describe_hugging_face(config_of_layers(
      "Gemma3ForCausalLM", 7,
      {{"sliding_window", 12}, {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8}}}}));
  ASSERT_OK(model);
  const Params& params = model->params;
  EXPECT_THAT(ropes(params), ElementsAre(0, 0, 0, 0, 0, 1, 0));
  EXPECT_EQ(params.layers[4].window, 12);
  EXPECT_EQ(params.layers[5].window, std::nullopt);
  EXPECT_EQ(params.ropes[0].theta, 10000);
  EXPECT_EQ(params.ropes[0].linear_factor, 1);
  EXPECT_EQ(params.ropes[1].theta, 1e6);
  EXPECT_EQ(params.ropes[1].linear_factor, 8);
}

TEST(LayerKinds, TablesByTypeOfLayer) {
  const Json by_type = {
      {"full_attention", {{"rope_type", "linear"}, {"factor", 4.0}, {"rope_theta", 2e6}}},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 5000.0}}}};
  const auto model = describe_hugging_face(config_of_layers(
      "Gemma3ForCausalLM", 2,
      {{"rope_parameters", by_type}, {"layer_types", {"full_attention", "sliding_attention"}}}));
  ASSERT_OK(model);
  EXPECT_THAT(ropes(model->params), ElementsAre(0, 1));
  EXPECT_EQ(model->params.ropes[0].theta, 2e6);
  EXPECT_EQ(model->params.ropes[0].linear_factor, 4);
  EXPECT_EQ(model->params.ropes[1].theta, 5000);
  EXPECT_THAT(
      refusal(config_of_layers("Gemma3ForCausalLM", 2,
                               {{"rope_parameters", {{"rope_type", "linear"}, {"factor", 4.0}}}})),
      AllOf(HasSubstr("rope_parameters: \"factor\""), HasSubstr("\"rope_type\"")));
}

// Each table, whichever layer uses it first.
TEST(LayerKinds, NoTableTurnsAPartOfEachHead) {
  for (const char* partial : {"full_attention", "sliding_attention"}) {
    Json by_type = {{"full_attention", {{"rope_theta", 2e6}}},
                    {"sliding_attention", {{"rope_theta", 5000.0}}}};
    by_type[partial]["partial_rotary_factor"] = 0.5;
    for (const Json& first : {Json("full_attention"), Json("sliding_attention")}) {
      const Json config = config_of_layers(
          "Gemma3ForCausalLM", 2,
          {{"rope_parameters", by_type},
           {"layer_types",
            {first, first == "full_attention" ? "sliding_attention" : "full_attention"}}});
      EXPECT_THAT(refusal(config), HasSubstr("partial_rotary_factor: 128 of 256 channels, a part "
                                             "of each head is not implemented"))
          << partial << " " << first;
    }
  }
}

TEST(LayerKinds, OfGgufFiles) {
  const auto metadata = [](std::string_view architecture, const Json& more) {
    Json json = {{"general.architecture", architecture}};
    const std::pair<const char*, Json> entries[] = {
        {"embedding_length", 64},    {"block_count", 6},
        {"feed_forward_length", 96}, {"attention.head_count", 4},
        {"vocab_size", 99},          {"attention.layer_norm_rms_epsilon", 1e-5f},
        {"rope.freq_base", 1e6f}};
    for (const auto& [key, value] : entries) json[fmt::format("{}.{}", architecture, key)] = value;
    json.update(more);
    return json;
  };
  const auto smollm = describe_gguf(metadata("smollm3", Json::object()), {});
  ASSERT_OK(smollm);
  EXPECT_THAT(ropes(smollm->params), ElementsAre(0, 0, 0, kNone, 0, 0));
  const auto gemma3 =
      describe_gguf(metadata("gemma3", {{"gemma3.attention.sliding_window", 12}}), {});
  ASSERT_OK(gemma3);
  EXPECT_THAT(ropes(gemma3->params), ElementsAre(0, 0, 0, 0, 0, 1));
  EXPECT_EQ(gemma3->params.ropes[0].theta, 10000);
  EXPECT_EQ(gemma3->params.ropes[1].theta, 1e6);
  // Without a window all layers are alike.
  EXPECT_THAT(describe_gguf(metadata("gemma3", Json::object()), {})->params.layers, IsEmpty());
  const auto gemma2 = describe_gguf(metadata("gemma2", Json::object()), {});
  ASSERT_OK(gemma2);
  EXPECT_EQ(gemma2->params.layers[0].window, 4096);
  EXPECT_EQ(gemma2->params.layers[1].window, std::nullopt);
  EXPECT_EQ(gemma2->params.ropes.size(), 1u);
}

}  // namespace
}  // namespace diptych::llama
