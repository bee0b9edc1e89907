#include "engine/tap_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine_test_util.h"
#include "every_target.h"

namespace diptych::engine {
namespace {

class TapOps : public EveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, TapOps, every_target(), target_name);

// Every length; nothing behind the row is written.
TEST_P(TapOps, TakeInEachTapInTurn) {
  constexpr size_t kMost = 80;
  const std::vector<int64_t> offsets{3, 0, 41, 7};
  const Taps taps{offsets.data(), offsets.size()};
  const auto from = random_values(kMost + 41 + kTapSlack, 1);
  const auto weights = random_values(offsets.size(), 2);
  const auto start = random_values(kMost, 3);
  for (size_t n = 0; n <= kMost; ++n) {
    std::vector<float> weighted(start.begin(), start.begin() + static_cast<std::ptrdiff_t>(n));
    weighted.push_back(77);
    auto sums = weighted, squares = weighted, largest = weighted;
    add_weighted_taps(from.data(), taps, weights.data(), n, weighted.data());
    add_taps(from.data(), taps, n, sums.data());
    add_squared_taps(from.data(), taps, n, squares.data());
    take_largest_taps(from.data(), taps, n, largest.data());
    for (size_t i = 0; i < n; ++i) {
      double product = start[i], sum = start[i], square = start[i];
      float most = start[i];
      for (size_t t = 0; t < offsets.size(); ++t) {
        const float x = from[static_cast<size_t>(offsets[t]) + i];
        product += static_cast<double>(weights[t]) * x;
        sum += x;
        square += static_cast<double>(x) * x;
        most = std::max(most, x);
      }
      ASSERT_NEAR(weighted[i], product, 1e-5) << n;
      ASSERT_NEAR(sums[i], sum, 1e-5) << n;
      ASSERT_NEAR(squares[i], square, 1e-5) << n;
      ASSERT_EQ(largest[i], most) << n;
    }
    for (const auto* out : {&weighted, &sums, &squares, &largest}) EXPECT_EQ((*out)[n], 77);
  }
}

TEST_P(TapOps, LargestIsNaNIfAnyIs) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<int64_t> offsets{0, 1};
  std::vector<float> from(20 + kTapSlack, 1.0f), out(20, 0.0f);
  from[7] = nan;
  out[15] = nan;
  take_largest_taps(from.data(), {offsets.data(), 2}, 20, out.data());
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(std::isnan(out[i]), i == 6 || i == 7 || i == 15) << i;
}

}  // namespace
}  // namespace diptych::engine
