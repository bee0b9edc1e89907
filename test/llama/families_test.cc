#include "llama/families.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "llama/rope.h"
#include "llama/weights.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Json config_of(std::string_view architecture) {
  return {{"architectures", {architecture}},
          {"hidden_size", 64},
          {"intermediate_size", 96},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"vocab_size", 99},
          {"rms_norm_eps", 1e-5}};
}

Json with(Json config, std::string_view key, Json value) {
  config[std::string(key)] = std::move(value);
  return config;
}

std::string refusal(const Json& config) {
  const auto model = describe_hugging_face(config);
  return model ? "described" : model.error().to_string();
}

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

// The windows of a model's layers; 0: none.
std::vector<int64_t> windows_of(const Params& params) {
  std::vector<int64_t> windows;
  for (int64_t layer = 0; layer < params.n_layers; ++layer) {
    windows.push_back(params.layer(static_cast<size_t>(layer)).window.value_or(0));
  }
  return windows;
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
              HasSubstr("partial_rotary_factor: 0.5 rotates a part of each head"));
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

// --- GGUF ---

Json metadata_of(std::string_view architecture) {
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", architecture, name); };
  return {{"general.architecture", architecture},
          {key("embedding_length"), 64},
          {key("block_count"), 2},
          {key("feed_forward_length"), 96},
          {key("attention.head_count"), 4},
          {key("attention.head_count_kv"), 2},
          {key("attention.layer_norm_rms_epsilon"), 1e-5f},
          {key("rope.freq_base"), 500000.0f},
          {key("vocab_size"), 99}};
}

TEST(Gguf, ArchitecturesAreFamilies) {
  for (const Family& family : families()) {
    Json metadata = metadata_of(family.gguf);
    if (family.multipliers) metadata[fmt::format("{}.logit_scale", family.gguf)] = 8.0f;
    const auto model = describe_gguf(metadata, {});
    ASSERT_OK(model);
    EXPECT_EQ(model->family->gguf, family.gguf);
    EXPECT_EQ(model->layout.dialect, Dialect::Gguf);
    EXPECT_EQ(model->layout.halves, !family.gguf_pairs);
    EXPECT_FALSE(model->layout.unit_offset);
    EXPECT_EQ(model->params.head_dim, 16);
    EXPECT_EQ(static_cast<float>(model->params.norm_eps), 1e-5f);
  }
  EXPECT_THAT(describe_gguf(metadata_of("gemma"), {}).error().to_string(),
              HasSubstr("architecture \"gemma\", expected one of llama, qwen2, qwen3, phi3"));
}

TEST(Gguf, VocabularyOfTheEmbedding) {
  Json metadata = metadata_of("llama");
  metadata.erase("llama.vocab_size");
  EXPECT_THAT(describe_gguf(metadata, {}).error().to_string(), HasSubstr("vocab_size: missing"));
  const std::vector<std::pair<std::string, WeightRef>> tensors = {
      {"token_embd.weight", zeros({DType::F16, {77, 64}})}};
  EXPECT_EQ(describe_gguf(metadata, tensors)->params.vocab_size, 77);
}

TEST(Gguf, RecognisesTheFactorsOfLlama3) {
  RopeParams scaled;
  scaled.theta = 500000;
  scaled.scale_factor = 32;
  const std::vector<float> factors = llama3_rope_factors(scaled, 16);
  const auto describe = [&](const std::vector<float>& values) {
    const std::vector<std::pair<std::string, WeightRef>> tensors = {
        {"rope_freqs.weight", constant_floats(DType::F32, {static_cast<int64_t>(values.size())},
                                              {values.begin(), values.end()})}};
    return describe_gguf(metadata_of("llama"), tensors);
  };
  const auto recognised = describe(factors);
  ASSERT_OK(recognised);
  EXPECT_TRUE(recognised->params.ropes[0].llama3);
  EXPECT_EQ(recognised->params.ropes[0].scale_factor, 32);
  EXPECT_TRUE(recognised->params.ropes[0].factors.empty());

  std::vector<float> others = factors;
  others[1] = 3;
  const auto explicit_factors = describe(others);
  ASSERT_OK(explicit_factors);
  EXPECT_FALSE(explicit_factors->params.ropes[0].llama3);
  EXPECT_EQ(explicit_factors->params.ropes[0].factors, others);
  RopeParams plain = explicit_factors->params.ropes[0];
  plain.factors.clear();
  EXPECT_EQ(rope_frequencies(explicit_factors->params.ropes[0], 16)[1],
            rope_frequencies(plain, 16)[1] / 3);

  EXPECT_FALSE(describe({1, 2}));
  others[0] = -1;
  EXPECT_FALSE(describe(others));
}

TEST(Gguf, LinearScalingUnderBothKeys) {
  const auto factor = [](const Json& more) {
    Json metadata = metadata_of("llama");
    metadata.update(more);
    const auto model = describe_gguf(metadata, {});
    return model ? fmt::format("{}", model->params.ropes[0].linear_factor)
                 : model.error().to_string();
  };
  EXPECT_EQ(factor(Json::object()), "1");
  EXPECT_EQ(factor({{"llama.rope.scale_linear", 4.0f}}), "4");
  EXPECT_EQ(factor({{"llama.rope.scaling.factor", 4.0f}}), "4");
  EXPECT_EQ(factor({{"llama.rope.scale_linear", 0.0f}}), "1");
  EXPECT_EQ(factor({{"llama.rope.scaling.type", "linear"}, {"llama.rope.scale_linear", 2.0f}}),
            "2");
  EXPECT_THAT(factor({{"llama.rope.scaling.type", "linear"}}), HasSubstr("factor: missing"));
  EXPECT_THAT(factor({{"llama.rope.scaling.factor", 2.0f}, {"llama.rope.scale_linear", 4.0f}}),
              HasSubstr("2 contradicts llama.rope.scale_linear 4"));
  EXPECT_THAT(factor({{"llama.rope.scaling.type", "none"}, {"llama.rope.scale_linear", 4.0f}}),
              HasSubstr("none contradicts the factor"));
  EXPECT_THAT(factor({{"llama.rope.scaling.attn_factor", 1.5f}}), HasSubstr("attn_factor: 1.5"));
}

TEST(Gguf, ListsOfEqualLayersAreNumbers) {
  Json metadata = metadata_of("llama");
  metadata["llama.attention.head_count"] = {4, 4};
  metadata["llama.attention.head_count_kv"] = {2, 2};
  metadata["llama.feed_forward_length"] = {96, 96};
  const auto model = describe_gguf(metadata, {});
  ASSERT_OK(model);
  EXPECT_EQ(model->params.n_kv_heads, 2);
  EXPECT_EQ(model->params.hidden_dim, 96);
  for (const Json& other : {Json{2, 4}, Json{2}, Json{2, 2, 2}, Json::array()}) {
    metadata["llama.attention.head_count_kv"] = other;
    EXPECT_THAT(describe_gguf(metadata, {}).error().to_string(),
                HasSubstr("head_count_kv: expected a whole number"));
  }
}

TEST(Gguf, MultipliersAndCaps) {
  Json metadata = metadata_of("granite");
  EXPECT_THAT(describe_gguf(metadata, {}).error().to_string(),
              HasSubstr("granite.logit_scale: missing"));
  metadata.update({{"granite.logit_scale", 8.0f}, {"granite.attention.scale", 0.0f}});
  const auto granite = describe_gguf(metadata, {});
  ASSERT_OK(granite);
  EXPECT_EQ(granite->params.logits_scaling, 8);
  EXPECT_EQ(granite->params.score_scale(), 0.25);  // 0 says nothing
  EXPECT_EQ(granite->params.residual_multiplier, 1);
  metadata["granite.rope.scaling.finetuned"] = false;
  EXPECT_THAT(describe_gguf(metadata, {}).error().to_string(), HasSubstr("without RoPE"));

  Json gemma = metadata_of("gemma2");
  EXPECT_EQ(describe_gguf(gemma, {})->params.attn_logit_softcapping, 50);
  EXPECT_EQ(describe_gguf(gemma, {})->params.score_scale(), 0.25);
  gemma["gemma2.attention.key_length"] = 4;
  EXPECT_EQ(describe_gguf(gemma, {})->params.score_scale(), 0.5);
  gemma["gemma2.block_count"] = 46;  // the model whose scalar is another
  EXPECT_EQ(describe_gguf(gemma, {})->params.score_scale(), 0.25);

  Json llama = metadata_of("llama");
  llama.update({{"llama.residual_scale", 0.5f}, {"llama.attention.clamp_kqv", 8.0f}});
  EXPECT_THAT(describe_gguf(llama, {}).error().to_string(),
              AllOf(HasSubstr("llama.residual_scale: 0.5 is not implemented for LlamaForCausalLM"),
                    HasSubstr("llama.attention.clamp_kqv: 8.0")));
}

TEST(Gguf, TensorsTellOfBiases) {
  const std::vector<std::pair<std::string, WeightRef>> tensors = {
      {"blk.0.attn_output.bias", zeros({DType::F32, {64}})},
      {"blk.0.ffn_up.bias", zeros({DType::F32, {96}})}};
  const auto model = describe_gguf(metadata_of("llama"), tensors);
  ASSERT_OK(model);
  EXPECT_FALSE(model->params.attention_qkv_bias);
  EXPECT_TRUE(model->params.attention_output_bias);
  EXPECT_TRUE(model->params.ffn_bias);
}

TEST(Gguf, Refusals) {
  Json metadata = metadata_of("phi3");
  metadata["phi3.rope.dimension_count"] = 8;
  metadata["phi3.rope.scaling.type"] = "yarn";
  EXPECT_THAT(describe_gguf(metadata, {}).error().to_string(),
              AllOf(HasSubstr("rope.dimension_count: 8 rotates a part of each head, only 16"),
                    HasSubstr("rope.scaling.type: \"yarn\", expected none, linear or longrope")));
  const std::vector<std::pair<std::string, WeightRef>> tensors = {
      {"rope_factors_long.weight", zeros({DType::F32, {8}})}};
  EXPECT_THAT(describe_gguf(metadata_of("phi3"), tensors).error().to_string(),
              HasSubstr("rope_factors_short.weight: missing, RoPE is of type longrope"));
}

TEST(Gguf, LongRope) {
  const std::vector<double> of_short(8, 1.25), of_long(8, 2.5);
  const std::vector<std::pair<std::string, WeightRef>> tensors = {
      {"rope_factors_long.weight", constant_floats(DType::F32, {8}, of_long)},
      {"rope_factors_short.weight", constant_floats(DType::F32, {8}, of_short)}};
  Json metadata = metadata_of("phi3");
  metadata["phi3.rope.scaling.attn_factor"] = 1.5;
  metadata["phi3.rope.scaling.original_context_length"] = 64;
  const auto model = describe_gguf(metadata, tensors);
  ASSERT_OK(model);
  const RopeParams& rope = model->params.ropes[0];
  EXPECT_EQ(rope.factors, std::vector<float>(8, 1.25f));
  EXPECT_EQ(rope.long_factors, std::vector<float>(8, 2.5f));
  EXPECT_EQ(rope.trained_context, 64);
  EXPECT_EQ(rope.attention_factor, 1.5);
  metadata["phi3.rope.scaling.type"] = "longrope";
  ASSERT_OK(describe_gguf(metadata, tensors));
  EXPECT_THAT(describe_gguf(metadata, {}).error().to_string(),
              HasSubstr("rope_factors_short.weight: missing"));
  metadata.erase("phi3.rope.scaling.original_context_length");
  metadata.erase("phi3.context_length");
  EXPECT_THAT(describe_gguf(metadata, tensors).error().to_string(),
              HasSubstr("original_context_length"));
}

TEST(Gguf, Windows) {
  const auto windows = [](const Json& pattern) {
    Json metadata = metadata_of("qwen2");
    metadata["qwen2.attention.sliding_window"] = 64;
    if (!pattern.is_null()) metadata["qwen2.attention.sliding_window_pattern"] = pattern;
    const auto model = describe_gguf(metadata, {});
    return model ? fmt::format("{}", fmt::join(windows_of(model->params), " "))
                 : model.error().to_string();
  };
  EXPECT_EQ(windows(nullptr), "64 64");
  EXPECT_EQ(windows(2), "64 0");
  EXPECT_EQ(windows({false, true}), "0 64");
  EXPECT_EQ(windows({true, true}), "64 64");
  EXPECT_THAT(windows({true}), HasSubstr("sliding_window_pattern: expected"));
  EXPECT_THAT(windows(-1), HasSubstr("sliding_window_pattern: expected"));
}

// --- Tensors ---

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
