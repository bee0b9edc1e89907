#include "llama/params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<Params> read(std::string_view text) { return params_from_meta(TRY(parse_json(text))); }

std::vector<std::string> problems(std::string_view text) {
  auto params = read(text);
  return params ? std::vector<std::string>{} : params.error().items;
}

TEST(Params, DefaultsAreUpstreams) {
  const auto params = read("{}");
  ASSERT_OK(params);
  EXPECT_EQ(params->dim, 4096);
  EXPECT_EQ(params->n_layers, 1);
  EXPECT_EQ(params->n_heads, 32);
  EXPECT_EQ(params->n_kv_heads, 32);
  EXPECT_EQ(params->head_dim, 128);
  EXPECT_EQ(params->vocab_size, 512);
  EXPECT_EQ(params->hidden_dim, 11008);  // Llama 2 7B
  EXPECT_EQ(params->norm_eps, 1e-5);
  EXPECT_EQ(params->ropes[0].theta, 10000.0);
  EXPECT_FALSE(params->ropes[0].llama3);
}

TEST(Params, HiddenDimFollowsMetasRule) {
  // Llama 3.2 1B and Llama 3 8B, as their files say.
  EXPECT_EQ(read(R"({"dim":2048,"n_heads":32,"n_kv_heads":8,"n_layers":16,"vocab_size":128256,
                     "ffn_dim_multiplier":1.5,"multiple_of":256,"norm_eps":1e-05,
                     "rope_theta":500000.0,"use_scaled_rope":true})")
                ->hidden_dim,
            8192);
  EXPECT_EQ(read(R"({"dim":4096,"ffn_dim_multiplier":1.3,"multiple_of":1024})")->hidden_dim, 14336);
  EXPECT_EQ(read(R"({"dim":288,"n_heads":6,"multiple_of":32})")->hidden_dim, 768);
  EXPECT_EQ(read(R"({"dim":64,"n_heads":8,"multiple_of":4})")->hidden_dim, 172);
  EXPECT_EQ(read(R"({"hidden_dim":100,"ffn_dim_multiplier":3,"multiple_of":64})")->hidden_dim, 100);
}

TEST(Params, OptionalValuesMayBeNull) {
  const auto params = read(
      R"({"n_kv_heads":null,"head_dim":null,"hidden_dim":null,"ffn_dim_multiplier":null,
          "rope_theta":null,"rope_freq_base":500000,"sliding_window":null})");
  ASSERT_OK(params);
  EXPECT_EQ(params->n_kv_heads, 32);
  EXPECT_EQ(params->ropes[0].theta, 500000);
}

TEST(Params, RopeThetaWinsOverRopeFreqBase) {
  EXPECT_EQ(read(R"({"rope_theta":7,"rope_freq_base":9})")->ropes[0].theta, 7);
}

TEST(Params, KnownKeysAtTheirNeutralValueAreFine) {
  ASSERT_OK(read(R"({"max_seq_len":77,"bos_idx":0,"eos_idx":9,"act_fn":"silu","moe":false,
                     "num_experts":4,"partial_rotary_factor":1,"output_bias":false,
                     "num_kv_shared_layers":0,"embedding_scale_factor":1.0,
                     "model_architecture":"LlamaForCausalLM"})"));
}

TEST(Params, AllOffendingKeysAreInOneError) {
  EXPECT_THAT(
      problems(R"({"dim":128,"moe":true,"local_rope_theta":512,"colour":"red","act_fn":"gelu",
                   "max_context_len":9,"n_layers":0,"norm_eps":"small","use_qk_norm":1})"),
      ElementsAre("moe: true is not implemented, only false is",
                  "local_rope_theta: 512 is not implemented, only null is",
                  "\"colour\": unknown key",
                  "act_fn: \"gelu\" is not implemented, only \"silu\" is",
                  StartsWith("max_context_len: set by the exporter"),
                  "n_layers: expected 1 to 1024, found 0",
                  "norm_eps: expected a positive number, found \"small\"",
                  "use_qk_norm: expected true or false, found 1"));
}

TEST(Params, ContradictionsAreNamed) {
  EXPECT_THAT(problems(R"({"n_heads":32,"n_kv_heads":5})"),
              ElementsAre("n_heads: 32 is not a multiple of n_kv_heads 5"));
  EXPECT_THAT(problems(R"({"dim":16,"n_heads":32})"),
              ElementsAre("head_dim: dim 16 is less than n_heads 32"));
  EXPECT_THAT(problems(R"({"head_dim":33})"), ElementsAre(HasSubstr("33 is odd")));
  EXPECT_THAT(problems(R"({"use_scaled_rope":true,"high_freq_factor":1})"),
              ElementsAre(StartsWith("high_freq_factor:")));
  EXPECT_THAT(problems(R"({"use_scaled_rope":true,"use_hf_rope":true})"),
              ElementsAre(StartsWith("use_scaled_rope: contradicts")));
}

TEST(Params, AbsurdSizesAreRefused) {
  for (const char* text :
       {R"({"dim":1e15})", R"({"dim":-4096})", R"({"vocab_size":-1})", R"({"n_heads":4194304})",
        R"({"n_layers":100000})", R"({"dim":4096.5})", R"({"head_dim":4194304})",
        R"({"ffn_dim_multiplier":1e25})", R"({"ffn_dim_multiplier":1e-9})", R"({"dim":null})",
        R"({"n_heads":18446744073709551615})", R"({"rope_theta":0})", R"({"norm_eps":-1})"}) {
    EXPECT_EQ(problems(text).size(), 1u) << text;
  }
  EXPECT_FALSE(read("[]"));
  EXPECT_FALSE(read("3"));
  EXPECT_THAT(problems(std::string(R"({")") + std::string(5000, 'k') + R"(":1})"),
              ElementsAre(::testing::SizeIs(::testing::Lt(100u))));
}

TEST(Params, ReadsTheReferenceModels) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/models");
  for (const char* model : {"stories", "gqa_untied", "wide", "qknorm", "bias_static"}) {
    const auto text =
        read_text_file(testing::shared_data(fmt::format("golden/models/{}/params.json", model)));
    ASSERT_OK(text);
    ASSERT_OK(read(*text));
  }
}

}  // namespace
}  // namespace diptych::llama
