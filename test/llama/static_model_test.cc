#include "llama/static_model.h"

#include <gtest/gtest.h>

#include "contract/signature.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

// Five layers: sliding, full without RoPE, sliding with the second table, another window, sliding.
Params mixed_params() {
  Params params;
  params.n_layers = 5;
  params.ropes.resize(2);
  params.layers = {{8, 0}, {{}, {}}, {8, 1}, {12, 0}, {8, 0}};
  return params;
}

TEST(StaticModel, LayersOfOneWindowAreAClass) {
  const contract::Model model = static_model(for_context(mixed_params(), 64), 60, DType::F16);
  ASSERT_EQ(model.classes.size(), 3U);
  EXPECT_EQ(model.classes[0].cache_len, 60);
  EXPECT_EQ(model.classes[0].window, std::nullopt);
  EXPECT_EQ(model.classes[1].cache_len, 8);
  EXPECT_EQ(model.classes[1].window, 8);
  EXPECT_EQ(model.classes[2].window, 12);
  EXPECT_EQ(model.class_of_layer, (std::vector<size_t>{1, 0, 1, 2, 1}));
  EXPECT_EQ(model.rope_of_layer, (std::vector<std::optional<size_t>>{0, {}, 1, 0, 0}));
  EXPECT_EQ(model.rope_tables(), 2U);
}

TEST(StaticModel, WindowsThatTheContextDoesNotExceedAreNone) {
  const contract::Model model = static_model(for_context(mixed_params(), 12), 11, DType::F16);
  ASSERT_EQ(model.classes.size(), 2U);
  EXPECT_EQ(model.class_of_layer, (std::vector<size_t>{1, 0, 1, 0, 1}));
  const contract::Model full = static_model(for_context(mixed_params(), 8), 7, DType::F16);
  ASSERT_EQ(full.classes.size(), 1U);
  EXPECT_EQ(full.rope_of_layer, model.rope_of_layer);
}

// Masks are known by the length of their caches.
TEST(StaticModel, LengthsDiffer) {
  const contract::Model model = static_model(for_context(mixed_params(), 16), 8, DType::F16);
  ASSERT_EQ(model.classes.size(), 3U);
  EXPECT_EQ(model.classes[1].cache_len, 9);
  EXPECT_EQ(model.classes[1].window, 8);
  ASSERT_OK(contract::signature(model, contract::method_of(contract::Role::Decode, 1)));
}

TEST(StaticModel, WindowsInAllLayers) {
  Params params;
  params.n_layers = 2;
  params.layers.assign(2, {8, 0});
  const contract::Model model = static_model(for_context(params, 16), 15, DType::F16);
  ASSERT_EQ(model.classes.size(), 1U);
  EXPECT_EQ(model.classes[0].cache_len, 8);
}

TEST(ForContext, ChoosesTheFactorsOfLongRope) {
  Params params;
  params.ropes[0].factors = {1, 2};
  params.ropes[0].long_factors = {3, 4};
  params.ropes[0].trained_context = 32;
  EXPECT_EQ(for_context(params, 32).ropes[0].factors, (std::vector<float>{1, 2}));
  const Params longer = for_context(params, 33);
  EXPECT_EQ(longer.ropes[0].factors, (std::vector<float>{3, 4}));
  EXPECT_EQ(for_context(longer, 20).ropes, longer.ropes);
}

}  // namespace
}  // namespace diptych::llama
