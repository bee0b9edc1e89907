#include "quant/cache.h"

#include <gtest/gtest.h>

#include "quant_testing.h"
#include "testing/shared_data.h"

namespace diptych::quant {
namespace {

TEST(Cache, GivesTheSameWeightsForTheSameRequest) {
  Cache cache;
  const WeightRef source = random_weight({DType::F16, {4, 64}}, 1);
  const auto first = cache.quantize(source, {{4, 0}}, "w").value();
  EXPECT_EQ(cache.quantize(source, {{4, 0}}, "w")->codes, first.codes);
  EXPECT_EQ(cache.quantize(source, {{4, 0}}, "w")->scales, first.scales);
  EXPECT_NE(cache.quantize(source, {{8, 0}}, "w")->codes, first.codes);
  EXPECT_NE(cache.quantize(source, {{4, 32}}, "w")->codes, first.codes);
}

TEST(Cache, CutsSlicesFromWhatItRemembers) {
  Cache cache;
  const WeightRef source = matrix(6, 64, 3);
  const Quantization how{{4, 0}, Algorithm::Gptq};
  const QuantizedWeight made = quantize(source, {{4, 0}, Algorithm::Mse}, "w").value();
  cache.remember(source, how, made);
  const auto slice = cache.quantize(row_slice(source, 2, 3), how, "w_1");
  ASSERT_OK(slice);
  EXPECT_EQ(read_ints(*slice->codes).value(), read_ints(*row_slice(made.codes, 2, 3)).value());
  EXPECT_EQ(slice->error, made.error);
  EXPECT_FALSE(cache.quantize(matrix(6, 64, 3), how, "other").has_value());
}

}  // namespace
}  // namespace diptych::quant
