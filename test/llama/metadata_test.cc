#include "llama/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/shared_data.h"

namespace diptych::llama {
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

Params layers(int64_t count) {
  Params params;
  params.n_layers = count;
  params.head_dim = 4;
  params.n_kv_heads = 4;
  return params;
}

TEST(Metadata, SingleMethodIsDescribedByBareNames) {
  const Params params = layers(2);
  const RopeTables tables = rope_tables(params, 128, DType::F16).value();
  const MethodSpec methods[] = {{"forward", {32, 96, false}}};
  const auto constants = constant_methods(params, tables, methods);
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

TEST(Metadata, SeveralMethodsArePrefixed) {
  const Params params = layers(1);
  const RopeTables tables = rope_tables(params, 128, DType::F16).value();
  const MethodSpec methods[] = {{"forward", {1, 127, true}}, {"prefill", {32, 127, true}}};
  const auto constants = constant_methods(params, tables, methods);
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
  const auto method = method_interface(params, methods[1].shape, DType::F16);
  ASSERT_OK(method);
  const auto last = ints(find(constants, "prefill_last_valid_token_pos_input_index"));
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(method->inputs.at(static_cast<size_t>(last[0])).name, kLastPositionInput);
  EXPECT_EQ(method->inputs.at(0).name, kTokensInput);
}

// Upstream sorts cache names as strings and pairs layer 10's inputs with layer 2's outputs.
TEST(Metadata, CacheRowsFollowTheLayers) {
  const Params params = layers(12);
  const RopeTables tables = rope_tables(params, 16, DType::F16).value();
  const MethodSpec spec{"forward", {4, 12, false}};
  const auto rows = ints(find(constant_methods(params, tables, {&spec, 1}), "kv_cache_specs"));
  const auto method = method_interface(params, spec.shape, DType::F16);
  ASSERT_OK(method);
  ASSERT_EQ(rows.size(), 60u);
  for (int64_t i = 0; i < 12; ++i) {
    const auto at = [&](int64_t column) {
      return static_cast<size_t>(rows[static_cast<size_t>(5 * i + column)]);
    };
    EXPECT_EQ(method->inputs[at(0)].name, k_cache_input(i));
    EXPECT_EQ(method->outputs[at(1)].name, fmt::format("new_k_{}", i));
    EXPECT_EQ(method->inputs[at(2)].name, v_cache_input(i));
    EXPECT_EQ(method->outputs[at(3)].name, fmt::format("new_v_{}", i));
    EXPECT_EQ(at(4), 12u);
  }
}

}  // namespace
}  // namespace diptych::llama
