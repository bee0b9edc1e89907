#include "contract/constants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/signature.h"
#include "testing/shared_data.h"

namespace diptych::contract {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> names(const std::vector<ConstantMethod>& constants) {
  std::vector<std::string> found;
  for (const ConstantMethod& constant : constants) found.push_back(constant.name);
  return found;
}

const ConstantMethod& find(const std::vector<ConstantMethod>& constants, std::string_view name) {
  return *std::find_if(constants.begin(), constants.end(),
                       [&](const ConstantMethod& constant) { return constant.name == name; });
}

std::vector<int64_t> ints(const ConstantMethod& constant) {
  return read_ints(*std::get<WeightRef>(constant.value)).value();
}

Model layers(size_t count, int64_t cache_len) {
  Model model = uniform_model(count, cache_len);
  model.vocab_size = 512;
  model.kv_heads = 4;
  model.head_dim = 4;
  model.rope_width = 2;
  return model;
}

RopeTables tables_of(int64_t rows) {
  return {zeros({DType::F16, {rows, 2}}), zeros({DType::F16, {rows, 2}})};
}

TEST(Constants, SingleMethodIsDescribedByBareNames) {
  const Model model = layers(2, 96);
  const RopeTables tables = tables_of(128);
  const Method methods[] = {method_of(Role::Single, 32)};
  const auto constants = constant_methods(model, methods, {&tables, 1});
  EXPECT_THAT(names(constants),
              ElementsAre("vocab_size", "head_dim", "n_heads_per_cache", "freqs_cos", "freqs_sin",
                          "freqs_cos_input_index", "freqs_sin_input_index", "mask_specs",
                          "kv_cache_specs", "forward_input_len", "get_max_context_len",
                          "tokens_input_index", "generate_full_logits"));
  EXPECT_EQ(std::get<int64_t>(constants[0].value), 512);
  EXPECT_EQ(std::get<int64_t>(constants[1].value), 4);
  EXPECT_EQ(std::get<int64_t>(constants[2].value), 4);
  EXPECT_EQ(std::get<WeightRef>(constants[3].value), tables.cos);
  EXPECT_THAT(ints(constants[5]), ElementsAre(2));
  EXPECT_THAT(ints(constants[6]), ElementsAre(3));
  EXPECT_THAT(ints(constants[7]), ElementsAre(1, 96));
  EXPECT_THAT(ints(constants[8]), ElementsAre(4, 1, 6, 3, 96, 5, 2, 7, 4, 96));
  EXPECT_EQ(std::get<int64_t>(constants[9].value), 32);
  EXPECT_EQ(std::get<int64_t>(constants[10].value), 128);
  EXPECT_THAT(ints(constants[11]), ElementsAre(0));
  EXPECT_TRUE(std::get<bool>(constants[12].value));
}

TEST(Constants, SeveralMethodsArePrefixed) {
  const Model model = layers(1, 127);
  const RopeTables tables = tables_of(128);
  const Method methods[] = {method_of(Role::Decode, 1), method_of(Role::Prefill, 32)};
  const auto constants = constant_methods(model, methods, {&tables, 1});
  EXPECT_THAT(
      names(constants),
      ElementsAre("vocab_size", "head_dim", "n_heads_per_cache", "freqs_cos", "freqs_sin",
                  "decode_input_len", "decode_freqs_cos_input_index",
                  "decode_freqs_sin_input_index", "decode_mask_specs", "decode_kv_cache_specs",
                  "prefill_input_len", "prefill_freqs_cos_input_index",
                  "prefill_freqs_sin_input_index", "prefill_mask_specs", "prefill_kv_cache_specs",
                  "get_max_context_len", "decode_tokens_input_index",
                  "decode_last_valid_token_pos_input_index", "decode_generate_full_logits",
                  "prefill_tokens_input_index", "prefill_last_valid_token_pos_input_index",
                  "prefill_generate_full_logits"));
  EXPECT_EQ(std::get<int64_t>(find(constants, "decode_input_len").value), 1);
  EXPECT_EQ(std::get<int64_t>(find(constants, "prefill_input_len").value), 32);
  EXPECT_FALSE(std::get<bool>(find(constants, "prefill_generate_full_logits").value));
  const auto method = signature(model, methods[1]);
  ASSERT_OK(method);
  const auto last = ints(find(constants, "prefill_last_valid_token_pos_input_index"));
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(method->inputs.at(static_cast<size_t>(last[0])).name,
            "attn_options_last_valid_token_pos");
  EXPECT_EQ(method->inputs.at(0).name, "tokens");
}

// Upstream sorts cache names as strings and pairs layer 10's inputs with layer 2's outputs.
TEST(Constants, CacheRowsFollowTheLayers) {
  const Model model = layers(12, 12);
  const RopeTables tables = tables_of(16);
  const Method single = method_of(Role::Single, 4);
  const auto rows =
      ints(find(constant_methods(model, {&single, 1}, {&tables, 1}), "kv_cache_specs"));
  const auto method = signature(model, single);
  ASSERT_OK(method);
  ASSERT_EQ(rows.size(), 60u);
  for (int64_t i = 0; i < 12; ++i) {
    const auto at = [&](int64_t column) {
      return static_cast<size_t>(rows[static_cast<size_t>(5 * i + column)]);
    };
    EXPECT_EQ(method->inputs[at(0)].name, fmt::format("attn_options_in_cache_state_0_l{}_h0", i));
    EXPECT_EQ(method->outputs[at(1)].name, fmt::format("new_k_{}", i));
    EXPECT_EQ(method->inputs[at(2)].name, fmt::format("attn_options_in_cache_state_1_l{}_h0", i));
    EXPECT_EQ(method->outputs[at(3)].name, fmt::format("new_v_{}", i));
    EXPECT_EQ(at(4), 12u);
  }
}

}  // namespace
}  // namespace diptych::contract
