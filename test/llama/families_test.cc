#include "llama/families.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "family_configs.h"
#include "llama/rope.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Families, EveryOneIsFoundByBothOfItsNames) {
  for (const Family& family : families()) {
    const auto model = describe_hugging_face(config_of(family.architecture));
    ASSERT_OK(model);
    EXPECT_EQ(model->family, &family);
    EXPECT_EQ(model->params.attention_qkv_bias, family.qkv_bias);
    EXPECT_EQ(model->params.use_qk_norm, family.qk_norm || family.qk_norm_whole);
    EXPECT_EQ(model->params.qk_norm_before_rope, family.qk_norm || family.qk_norm_whole);
    EXPECT_EQ(model->params.head_dim, family.head_dim.value_or(16));
    EXPECT_EQ(model->layout.fused, family.fused);
    EXPECT_TRUE(model->layout.halves);
    EXPECT_EQ(model->layout.tied, family.tied ? Layout::Tied::Yes : Layout::Tied::No);
    EXPECT_EQ(model->layout.unit_offset, family.unit_offset);
    Json config = config_of(family.architecture);
    config.erase("architectures");
    EXPECT_EQ(describe_hugging_face(with(config, "model_type", family.model_type))->family,
              &family);
    EXPECT_EQ(*family_from_name(family.name), &family);
  }
}

TEST(Families, DefaultsAreTransformers) {
  Json config = config_of("LlamaForCausalLM");
  config.erase("rms_norm_eps");
  config.erase("num_key_value_heads");
  const auto llama = describe_hugging_face(with(config, "head_dim", nullptr));
  ASSERT_OK(llama);
  EXPECT_EQ(llama->params.norm_eps, 1e-6);
  EXPECT_EQ(llama->params.n_kv_heads, 4);
  EXPECT_EQ(llama->params.head_dim, 16);
  EXPECT_EQ(llama->params.ropes[0].theta, 10000);
  EXPECT_EQ(llama->params.layer(0).window, std::nullopt);
  config["architectures"] = {"Phi3ForCausalLM"};
  EXPECT_EQ(describe_hugging_face(config)->params.norm_eps, 1e-5);
}

TEST(Families, RopeInBothForms) {
  const Json llama3 = {{"rope_type", "llama3"},
                       {"factor", 32.0},
                       {"low_freq_factor", 1.5},
                       {"high_freq_factor", 3.0},
                       {"original_max_position_embeddings", 4096}};
  const Json base = config_of("LlamaForCausalLM");
  const auto older =
      describe_hugging_face(with(with(base, "rope_theta", 500000.0), "rope_scaling", llama3));
  const auto newer =
      describe_hugging_face(with(base, "rope_parameters", with(llama3, "rope_theta", 500000.0)));
  for (const auto* model : {&older, &newer}) {
    ASSERT_OK(*model);
    const RopeParams& rope = (*model)->params.ropes[0];
    EXPECT_EQ(rope.theta, 500000);
    EXPECT_TRUE(rope.llama3);
    EXPECT_EQ(rope.scale_factor, 32);
    EXPECT_EQ(rope.low_freq_factor, 1.5);
    EXPECT_EQ(rope.high_freq_factor, 3);
    EXPECT_EQ(rope.trained_context, 4096);
  }
  const auto linear =
      describe_hugging_face(with(base, "rope_scaling", {{"type", "linear"}, {"factor", 4.0}}));
  ASSERT_OK(linear);
  EXPECT_EQ(linear->params.ropes[0].linear_factor, 4);
  EXPECT_EQ(rope_frequencies(linear->params.ropes[0], 16)[0], 0.25f);
  ASSERT_OK(describe_hugging_face(with(base, "rope_parameters", {{"rope_type", "default"}})));
  ASSERT_OK(describe_hugging_face(with(base, "rope_scaling", nullptr)));
}

TEST(Families, RopeOfScalingNeedsAllItsKeys) {
  const Json base = config_of("LlamaForCausalLM");
  EXPECT_THAT(refusal(with(base, "rope_scaling", {{"type", "linear"}})),
              HasSubstr("rope_scaling: factor: missing"));
  EXPECT_THAT(refusal(with(base, "rope_parameters", {{"rope_type", "llama3"}})),
              AllOf(HasSubstr("rope_parameters: factor: missing"),
                    HasSubstr("low_freq_factor: missing"), HasSubstr("high_freq_factor: missing"),
                    HasSubstr("original_max_position_embeddings: missing")));
  EXPECT_THAT(refusal(with(base, "rope_scaling", {{"factor", 4.0}})),
              HasSubstr("factor: without a rope_type"));
  EXPECT_THAT(refusal(with(base, "rope_scaling", "linear")), HasSubstr("expected an object"));
  EXPECT_THAT(refusal(with(base, "rope_parameters", {{"full_attention", Json::object()}})),
              HasSubstr("layers of one type"));
  EXPECT_THAT(refusal(with(config_of("Phi3ForCausalLM"), "rope_scaling",
                           {{"type", "linear"}, {"factor", 4.0}})),
              HasSubstr("RoPE of Phi3ForCausalLM: expected type default"));
  // The context that the model was trained with, where llama3 does not say.
  const Json llama3 = {
      {"type", "llama3"}, {"factor", 32.0}, {"low_freq_factor", 1.5}, {"high_freq_factor", 3.0}};
  const auto model = describe_hugging_face(
      with(with(base, "rope_scaling", llama3), "max_position_embeddings", 2048));
  ASSERT_OK(model);
  EXPECT_EQ(model->params.ropes[0].trained_context, 2048);
}

TEST(Families, RopeThatContradictsItself) {
  const Json base = config_of("LlamaForCausalLM");
  const Json linear = {{"type", "linear"}, {"factor", 4.0}};
  EXPECT_THAT(refusal(with(with(base, "rope_parameters", {{"rope_type", "default"}}),
                           "rope_scaling", linear)),
              HasSubstr("rope_parameters contradicts rope_scaling"));
  EXPECT_THAT(refusal(with(base, "rope_scaling", with(linear, "rope_type", "default"))),
              HasSubstr("rope_type \"default\" contradicts type \"linear\""));
  EXPECT_THAT(
      refusal(with(with(base, "rope_theta", 5000.0), "rope_parameters", {{"rope_theta", 6000.0}})),
      HasSubstr("rope_theta: 6000 contradicts the 5000 outside"));
  const auto same = describe_hugging_face(with(
      with(base, "rope_parameters", with(linear, "rope_theta", 10000.0)), "rope_scaling", linear));
  ASSERT_OK(same);
  EXPECT_EQ(same->params.ropes[0].linear_factor, 4);
  ASSERT_OK(describe_hugging_face(with(base, "rope_scaling", Json::object())));
}

TEST(Families, NullIsNotAMissingKey) {
  const Json mistral = config_of("MistralForCausalLM"), qwen3 = config_of("Qwen3ForCausalLM");
  EXPECT_EQ(describe_hugging_face(with(mistral, "num_key_value_heads", nullptr))->params.n_kv_heads,
            4);
  EXPECT_THAT(refusal(with(qwen3, "head_dim", nullptr)), HasSubstr("head_dim: expected"));
  EXPECT_THAT(refusal(with(mistral, "hidden_act", nullptr)), HasSubstr("hidden_act: null"));
  EXPECT_THAT(refusal(with(mistral, "rope_theta", nullptr)), HasSubstr("rope_theta: expected"));
}

TEST(Families, ArchitecturesWithoutTheirHead) {
  EXPECT_EQ(describe_hugging_face(config_of("LlamaModel"))->family->name, "llama");
  EXPECT_EQ(describe_hugging_face(config_of("Qwen3Model"))->family->name, "qwen3");
  EXPECT_FALSE(describe_hugging_face(config_of("LlamaForSequenceClassification")));
  EXPECT_THAT(refusal(with(config_of("LlamaForCausalLM"), "model_type", "qwen3")),
              HasSubstr("architecture \"LlamaForCausalLM\" contradicts model_type \"qwen3\""));
}

TEST(Families, Windows) {
  using Windows = std::vector<int64_t>;
  const auto windows = [](const Json& config) {
    return windows_of(describe_hugging_face(config).value().params);
  };
  const Json mistral = config_of("MistralForCausalLM");
  EXPECT_EQ(windows(mistral), (Windows{4096, 4096}));
  EXPECT_EQ(windows(with(config_of("LlamaForCausalLM"), "sliding_window", 512)), (Windows{0, 0}));
  EXPECT_EQ(windows(with(mistral, "sliding_window", 512)), (Windows{512, 512}));
  EXPECT_EQ(windows(with(mistral, "sliding_window", nullptr)), (Windows{0, 0}));
  EXPECT_EQ(windows(with(config_of("Phi3ForCausalLM"), "sliding_window", 2047)),
            (Windows{2047, 2047}));
  for (const char* name : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    const Json off = with(config_of(name), "sliding_window", 512);
    EXPECT_EQ(windows(off), (Windows{0, 0}));
    const Json on = with(off, "use_sliding_window", true);
    EXPECT_EQ(windows(on), (Windows{0, 0}));  // max_window_layers is 28 then
    EXPECT_EQ(windows(with(on, "max_window_layers", 1)), (Windows{0, 512}));
    EXPECT_EQ(windows(with(on, "max_window_layers", 0)), (Windows{512, 512}));
    EXPECT_EQ(windows(with(on, "layer_types", {"sliding_attention", "full_attention"})),
              (Windows{512, 0}));
    EXPECT_THAT(refusal(with(on, "max_window_layers", -1)), HasSubstr("max_window_layers"));
    EXPECT_THAT(refusal(with(on, "layer_types", {"full_attention"})),
                HasSubstr("layer_types: expected a list of 2 types, found 1"));
    EXPECT_THAT(refusal(with(on, "layer_types", {"full_attention", "conv"})),
                HasSubstr("layer_types: \"conv\", expected"));
    EXPECT_THAT(refusal(with(off, "layer_types", {"sliding_attention", "full_attention"})),
                HasSubstr("layer_types: expected \"full_attention\" for all layers"));
  }
  EXPECT_THAT(refusal(with(mistral, "layer_types", {"sliding_attention", "full_attention"})),
              HasSubstr("layer_types: expected \"sliding_attention\" for all layers"));
  EXPECT_THAT(refusal(with(mistral, "sliding_window", 0)), HasSubstr("sliding_window"));
}

TEST(Families, LongRope) {
  const Json factors = {1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5};
  const Json rope = {{"type", "longrope"}, {"short_factor", factors}, {"long_factor", factors}};
  Json config = with(config_of("Phi3ForCausalLM"), "rope_scaling", rope);
  config["max_position_embeddings"] = 131072;
  EXPECT_THAT(refusal(config), HasSubstr("original_max_position_embeddings: expected more than 1"));
  config["original_max_position_embeddings"] = 4096;
  const auto model = describe_hugging_face(config);
  ASSERT_OK(model);
  const RopeParams& table = model->params.ropes[0];
  EXPECT_EQ(table.factors, factors.get<std::vector<float>>());
  EXPECT_EQ(table.long_factors, table.factors);
  EXPECT_EQ(table.trained_context, 4096);
  EXPECT_NEAR(table.attention_factor, std::sqrt(1 + std::log(32.0) / std::log(4096.0)), 1e-12);
  const auto with_rope = [&](const char* key, const Json& value) {
    return with(config, "rope_scaling", with(rope, key, value));
  };
  const auto factor = [](const Json& changed) {
    return describe_hugging_face(changed).value().params.ropes[0].attention_factor;
  };
  EXPECT_EQ(factor(with_rope("attention_factor", 1.25)), 1.25);
  EXPECT_EQ(factor(with_rope("factor", 1.0)), 1);
  EXPECT_EQ(factor(with_rope("type", "su")), table.attention_factor);
  EXPECT_THAT(refusal(with_rope("long_factor", {1.0, 2.0})),
              HasSubstr("long_factor: expected a list of 8 positive numbers"));
  for (const Json& bad : {Json(-1.0), Json("1"), Json(1e300)}) {
    Json changed = factors;
    changed[3] = bad;
    EXPECT_THAT(refusal(with_rope("short_factor", changed)), HasSubstr("short_factor: expected"));
  }
}

// Phi-4-mini: the first channels of a head are rotated, by as many factors as they have pairs.
TEST(Families, RopeOfAPartOfEachHead) {
  const Json base = with(config_of("Phi3ForCausalLM"), "partial_rotary_factor", 0.75);
  const auto model = describe_hugging_face(base);
  ASSERT_OK(model);
  EXPECT_EQ(model->params.rotated(), 12);
  EXPECT_EQ(rope_frequencies(model->params.ropes[0], 16).size(), 6U);
  Params params = model->params;
  const auto tables = rope_tables(params, 3, DType::F32);
  ASSERT_OK(tables);
  const auto cos = read_floats(*tables->front().cos).value(),
             sin = read_floats(*tables->front().sin).value();
  EXPECT_EQ(cos.size(), 3U * 8);
  for (size_t row = 0; row < 3; ++row) {
    for (size_t column = 6; column < 8; ++column) {
      EXPECT_EQ(cos[row * 8 + column], 1);
      EXPECT_EQ(sin[row * 8 + column], 0);
    }
  }
  EXPECT_NE(cos[2 * 8], 1);
  Json longrope = with(base, "original_max_position_embeddings", 4096);
  const Json factors = {1.0, 1.5, 2.0, 2.5, 3.0, 3.5};
  longrope["rope_scaling"] = {
      {"type", "longrope"}, {"short_factor", factors}, {"long_factor", factors}};
  ASSERT_OK(describe_hugging_face(longrope));
  longrope["rope_scaling"]["long_factor"].push_back(4.0);
  EXPECT_THAT(refusal(longrope), HasSubstr("long_factor: expected a list of 6"));
  for (const double bad : {0.01, 0.2, 1.5}) {
    EXPECT_THAT(refusal(with(config_of("Phi3ForCausalLM"), "partial_rotary_factor", bad)),
                HasSubstr("of 16 channels, expected an even number"));
  }
}

TEST(Families, RefusesByNameWithWhatIsKnown) {
  const Json base = config_of("LlamaForCausalLM");
  EXPECT_THAT(refusal(config_of("GemmaForCausalLM")),
              AllOf(HasSubstr("\"GemmaForCausalLM\""),
                    HasSubstr("expected one of LlamaForCausalLM, MistralForCausalLM")));
  EXPECT_THAT(refusal(with(base, "hidden_act", "gelu")),
              HasSubstr("hidden_act: \"gelu\", expected \"silu\""));
  EXPECT_THAT(refusal(with(base, "rope_scaling", {{"rope_type", "yarn"}})),
              HasSubstr("RoPE type \"yarn\": expected default, linear, llama3 or longrope"));
  EXPECT_THAT(refusal(with(base, "partial_rotary_factor", 0.5)),
              HasSubstr("partial_rotary_factor: 8 of 16 channels, a part of each head is not"));
  const Json mistral = config_of("MistralForCausalLM");
  EXPECT_THAT(refusal(with(with(mistral, "attention_bias", true), "mlp_bias", true)),
              AllOf(HasSubstr("attention_bias: true is not implemented for MistralForCausalLM, "
                              "only false is"),
                    HasSubstr("mlp_bias: true")));
  EXPECT_THAT(refusal(with(with(base, "logits_scaling", 8.0), "query_multiplier", 2)),
              AllOf(HasSubstr("logits_scaling: 8.0 is not implemented for LlamaForCausalLM, only 1 "
                              "is"),
                    HasSubstr("\"query_multiplier\": 2")));
  EXPECT_EQ(refusal(with(with(base, "logits_scaling", 1), "residual_multiplier", nullptr)),
            "described");
  EXPECT_THAT(refusal(with(config_of("Gemma3ForCausalLM"), "attn_logit_softcapping", 50.0)),
              HasSubstr("attn_logit_softcapping: 50.0 is not implemented for Gemma3ForCausalLM, "
                        "only null is"));
  EXPECT_THAT(refusal(with(config_of("Gemma2ForCausalLM"), "hidden_activation", "gelu")),
              HasSubstr("hidden_activation: \"gelu\", expected \"gelu_pytorch_tanh\""));
  EXPECT_THAT(refusal(with(base, "quantization_config", {{"quant_method", "awq"}})),
              HasSubstr("weights quantised by \"awq\" are not read"));
  Json several = with(base, "hidden_size", "big");
  several.erase("vocab_size");
  EXPECT_THAT(refusal(several), AllOf(HasSubstr("2 of the model's parameters"),
                                      HasSubstr("hidden_size: expected a whole number"),
                                      HasSubstr("vocab_size: missing")));
  EXPECT_THAT(refusal({{"x", 1}}), HasSubstr("not the config.json of a language model"));
  EXPECT_THAT(refusal(Json::array()), HasSubstr("expected an object"));
}

TEST(Families, BiasesThatAConfigurationAsksFor) {
  const Json config = with(config_of("LlamaForCausalLM"), "attention_bias", true);
  const auto attention = describe_hugging_face(config);
  ASSERT_OK(attention);
  EXPECT_TRUE(attention->params.attention_qkv_bias);
  EXPECT_TRUE(attention->params.attention_output_bias);
  EXPECT_FALSE(attention->params.ffn_bias);
  EXPECT_TRUE(describe_hugging_face(with(config, "mlp_bias", true))->params.ffn_bias);
}

TEST(Families, MultipliersAndCaps) {
  Json config = with(config_of("GraniteForCausalLM"), "embedding_multiplier", 12);
  config.update({{"residual_multiplier", 0.25}, {"logits_scaling", 8}});
  const auto granite = describe_hugging_face(config);
  ASSERT_OK(granite);
  EXPECT_EQ(granite->params.embedding_scale_factor, 12);
  EXPECT_EQ(granite->params.score_scale(), 1);  // transformers' default, not 1 / sqrt(d)
  EXPECT_EQ(granite->params.residual_multiplier, 0.25);
  EXPECT_EQ(granite->params.logits_scaling, 8);
  const Json gemma = config_of("Gemma2ForCausalLM");
  const auto capped = describe_hugging_face(gemma);
  ASSERT_OK(capped);
  EXPECT_EQ(capped->params.embedding_scale_factor, 8);  // of 64 channels
  EXPECT_EQ(capped->params.score_scale(), 1.0 / 16);    // of a scalar of 256
  EXPECT_EQ(capped->params.attn_logit_softcapping, 50);
  EXPECT_EQ(capped->params.final_logit_softcapping, 30);
  const auto uncapped = describe_hugging_face(with(gemma, "attn_logit_softcapping", nullptr));
  ASSERT_OK(uncapped);
  EXPECT_EQ(uncapped->params.attn_logit_softcapping, std::nullopt);
  EXPECT_EQ(uncapped->params.final_logit_softcapping, 30);
  EXPECT_THAT(refusal(with(gemma, "final_logit_softcapping", 0)),
              HasSubstr("final_logit_softcapping: expected a positive number"));
}

TEST(Families, TheTextPartOfAModelThatSees) {
  Json text = config_of("");
  text.erase("architectures");
  text.erase("num_attention_heads");
  text.erase("vocab_size");
  const Json whole = {{"architectures", {"Gemma3ForConditionalGeneration"}},
                      {"model_type", "gemma3"},
                      {"vision_config", Json::object()},
                      {"text_config", text}};
  const auto model = describe_hugging_face(whole);
  ASSERT_OK(model);
  EXPECT_EQ(model->family->name, "gemma3");
  EXPECT_EQ(model->params.n_heads, 8);
  EXPECT_EQ(model->params.vocab_size, 262208);
  EXPECT_TRUE(model->layout.beside_vision);
  EXPECT_THAT(refusal(with(whole, "text_config", nullptr)),
              HasSubstr("text_config: expected an object"));
}

}  // namespace
}  // namespace diptych::llama
