// GGUF metadata as parameters.
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "family_configs.h"
#include "llama/families.h"
#include "llama/rope.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

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
  Json metadata = metadata_of("qwen2");
  metadata["qwen2.rope.dimension_count"] = 8;
  metadata["qwen2.rope.scaling.type"] = "yarn";
  EXPECT_THAT(describe_gguf(metadata, {}).error().to_string(),
              AllOf(HasSubstr("rope.dimension_count: 8 of the 16 channels of a head are rotated"),
                    HasSubstr("rope.scaling.type: \"yarn\", expected none, linear or longrope")));
  const std::vector<std::pair<std::string, WeightRef>> tensors = {
      {"rope_factors_long.weight", zeros({DType::F32, {8}})}};
  EXPECT_THAT(describe_gguf(metadata_of("phi3"), tensors).error().to_string(),
              HasSubstr("rope_factors_short.weight: missing, RoPE is of type longrope"));
}

TEST(Gguf, RopeOfAPartOfEachHead) {
  Json metadata = metadata_of("phi3");
  metadata["phi3.rope.dimension_count"] = 12;
  const auto model = describe_gguf(metadata, {});
  ASSERT_OK(model);
  EXPECT_EQ(model->params.rotated(), 12);
  metadata["phi3.rope.dimension_count"] = 20;
  EXPECT_THAT(describe_gguf(metadata, {}).error().to_string(), HasSubstr("dimension_count: 20 of"));
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

}  // namespace
}  // namespace diptych::llama
