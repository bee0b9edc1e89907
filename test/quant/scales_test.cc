// What the algorithms that choose scales promise against round-to-nearest.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "quant/grid.h"
#include "quant/mse.h"
#include "quant_testing.h"

namespace diptych::quant {
namespace {

struct Case {
  int bits;
  size_t group;
};
constexpr Case kCases[] = {{4, 32}, {4, 64}, {4, 128}, {8, 128}, {4, 77}, {8, 3}};

double squared_error(std::span<const float> row, float scale, int bits) {
  double sum = 0;
  for (const float w : row) {
    const double limit = bits == 4 ? 8 : 128;
    const double code =
        std::clamp(std::nearbyint(static_cast<double>(w / scale)), -limit, limit - 1);
    sum += std::pow(static_cast<double>(w) - code * static_cast<double>(scale), 2);
  }
  return sum;
}

TEST(Grid, SumsAreThoseOfTheDefinition) {
  for (const Case& format : kCases) {
    const std::vector<float> row = weights(format.group, 1);
    const float scale = largest_scale(row, format.bits, DType::F16);
    const Fit found = fit(row, {}, scale, format.bits);
    const double expected = squared_error(row, scale, format.bits);
    EXPECT_NEAR(found.error, expected, 1e-5 * expected);
    std::vector<int8_t> codes(row.size());
    nearest_codes(row, scale, format.bits, codes.data());
    const QuantizationError off = deviation(row, codes.data(), scale);
    EXPECT_NEAR(off.squares, expected, 1e-5 * expected);
    double products = 0, squares = 0, source = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      products += static_cast<double>(row[i]) * codes[i];
      squares += codes[i] * codes[i];
      source += static_cast<double>(row[i]) * static_cast<double>(row[i]);
    }
    EXPECT_NEAR(found.best_scale(), products / squares, 1e-5 * products / squares);
    EXPECT_NEAR(off.source_squares, source, 1e-5 * source);
  }
}

TEST(Mse, IsNeverWorseThanRoundToNearestAndMostlyBetter) {
  for (const Case& format : kCases) {
    double least = 0, rounded = 0;
    for (uint32_t seed = 0; seed < 50; ++seed) {
      const std::vector<float> row = weights(format.group, seed);
      const float chosen = mse_scale(row, {}, format.bits, DType::F16);
      EXPECT_EQ(chosen, round_to_half(chosen));
      const double error = squared_error(row, chosen, format.bits);
      const double error_of_rtn =
          squared_error(row, largest_scale(row, format.bits, DType::F16), format.bits);
      EXPECT_LE(error, error_of_rtn * (1 + 1e-6));
      least += error;
      rounded += error_of_rtn;
    }
    EXPECT_LT(least, (format.bits == 4 ? 0.95 : 1.0) * rounded)
        << format.bits << " " << format.group;
  }
}

TEST(Mse, CaresForWhatIsImportant) {
  std::vector<float> row = weights(64, 3);
  std::vector<float> importance(row.size(), 1e-3f);
  importance[64 / 3] = 1000;  // the one far out must not be clipped
  const float scale = mse_scale(row, importance, 4, DType::F32);
  std::vector<int8_t> codes(row.size());
  nearest_codes(row, scale, 4, codes.data());
  EXPECT_NEAR(scale * codes[64 / 3], row[64 / 3], 1e-4);
}

TEST(Mse, ZerosAndSubnormalsHaveAScale) {
  EXPECT_EQ(mse_scale(std::vector<float>(32), {}, 4, DType::F16), 0x1p-14f);
  EXPECT_EQ(mse_scale(std::vector<float>(32, 0x1p-24f), {}, 4, DType::F16), 0x1p-14f);
}

}  // namespace
}  // namespace diptych::quant
