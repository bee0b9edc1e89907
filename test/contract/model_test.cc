#include "contract/model.h"

#include <gtest/gtest.h>

#include "contract/signature.h"
#include "testing/shared_data.h"

namespace diptych::contract {
namespace {

TEST(Role, FollowsFromTheName) {
  EXPECT_EQ(role_of("forward"), Role::Decode);
  EXPECT_EQ(role_of("decode"), Role::Decode);
  EXPECT_EQ(role_of("prefill"), Role::Prefill);
  EXPECT_EQ(role_of("prefill_512"), Role::Prefill);
  EXPECT_EQ(role_of("verify_16"), Role::Verify);
  for (const char* name : {"", "main", "prefill_", "prefill_x", "_512", "vocab_size"}) {
    EXPECT_FALSE(role_of(name)) << name;
  }
}

TEST(AdaptedName, ComesApartWhereItWasPutTogether) {
  EXPECT_EQ(with_adapter("prefill_512", "french"), "prefill_512__french");
  EXPECT_EQ(with_adapter("forward", ""), "forward");
  for (const char* method : {"forward", "prefill_512"}) {
    for (const char* adapter : {"", "a", "a_1", "x9"}) {
      const std::string name = with_adapter(method, adapter);
      EXPECT_EQ(adapted_name(name).method, method);
      EXPECT_EQ(adapted_name(name).adapter, adapter);
    }
  }
  EXPECT_FALSE(role_of("forward__a"));
  EXPECT_FALSE(role_of("prefill__512"));
  for (const char* name : {"a", "French", "a_1", "x9"}) EXPECT_TRUE(is_adapter_name(name)) << name;
  for (const char* name : {"", "1a", "_a", "a_", "a__b", "a-b", "a b", "\xc3\xa4"}) {
    EXPECT_FALSE(is_adapter_name(name)) << name;
  }
  EXPECT_TRUE(is_adapter_name(std::string(64, 'a')));
  EXPECT_FALSE(is_adapter_name(std::string(65, 'a')));
}

TEST(Role, SaysWhichLogitsTheExporterGives) {
  EXPECT_TRUE(method_of(Role::Single, 32).all_logits);
  EXPECT_FALSE(method_of(Role::Decode, 1).all_logits);
  EXPECT_FALSE(method_of(Role::Prefill, 64).all_logits);
  EXPECT_TRUE(method_of(Role::Verify, 16).all_logits);
  EXPECT_EQ(method_of(Role::Decode, 1).name, "forward");
  EXPECT_EQ(further_method_of(Role::Prefill, 512).name, "prefill_512");
  EXPECT_EQ(role_of(further_method_of(Role::Prefill, 512).name), Role::Prefill);
}

Model two_classes() {
  Model model;
  model.vocab_size = 10;
  model.kv_heads = 2;
  model.head_dim = 4;
  model.rope_width = 3;
  model.classes = {{15, {}}, {8, 8}};
  model.class_of_layer = {1, 0, 1};
  model.rope_of_layer = {1, 0, 1};
  return model;
}

// Every class has a mask and caches of its length, every RoPE table its rows.
TEST(Signature, OfLayersOfTwoClasses) {
  const auto found = signature(two_classes(), method_of(Role::Prefill, 4));
  ASSERT_OK(found);
  std::vector<std::string> inputs;
  for (const NamedType& input : found->inputs) {
    inputs.push_back(input.name + " " + to_string(input.type));
  }
  EXPECT_EQ(inputs, (std::vector<std::string>{
                        "tokens int32[1,4]",
                        "attn_options_masks_15 fp16[1,4,19]",
                        "attn_options_masks_8 fp16[1,4,12]",
                        "attn_options_freqs_cos_override fp16[4,3]",
                        "attn_options_freqs_sin_override fp16[4,3]",
                        "attn_options_freqs_cos_override_1 fp16[4,3]",
                        "attn_options_freqs_sin_override_1 fp16[4,3]",
                        "attn_options_in_cache_state_0_l0_h0 fp16[1,2,8,4]",
                        "attn_options_in_cache_state_0_l1_h0 fp16[1,2,15,4]",
                        "attn_options_in_cache_state_0_l2_h0 fp16[1,2,8,4]",
                        "attn_options_in_cache_state_1_l0_h0 fp16[1,2,8,4]",
                        "attn_options_in_cache_state_1_l1_h0 fp16[1,2,15,4]",
                        "attn_options_in_cache_state_1_l2_h0 fp16[1,2,8,4]",
                        "attn_options_last_valid_token_pos int64[1]",
                    }));
  ASSERT_EQ(found->outputs.size(), 7U);
  EXPECT_EQ(to_string(found->outputs[0].type), "fp16[1,1,10]");
  EXPECT_EQ(found->outputs[3].name, "new_k_2");
  EXPECT_EQ(found->outputs[found->places.value_outputs[0]].name, "new_v_0");
}

TEST(Signature, RefusesImpossibleLengths) {
  EXPECT_FALSE(signature(uniform_model(1, 0), method_of(Role::Decode, 1)));
  EXPECT_FALSE(signature(uniform_model(1, 8), method_of(Role::Prefill, 0)));
  Model twice = two_classes();
  twice.classes[0].cache_len = 8;
  EXPECT_FALSE(signature(twice, method_of(Role::Decode, 1)));
}

// As many leaves as inputs, in their order.
TEST(Trees, NameTheMasksByTheirLength) {
  const Trees found = trees(two_classes(), method_of(Role::Verify, 4));
  const std::string text = pte::to_json(found.inputs);
  EXPECT_NE(text.find("15"), std::string::npos);
  EXPECT_NE(text.find("freqs_sin_override_1"), std::string::npos);
  EXPECT_EQ(text.find("last_valid_token_pos"), std::string::npos);
}

}  // namespace
}  // namespace diptych::contract
