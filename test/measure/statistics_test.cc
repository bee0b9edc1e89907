#include "measure/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace diptych::measure {
namespace {

TEST(Statistics, MedianIsTheMiddleOfTheSorted) {
  EXPECT_EQ(median({7}), 7);
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({9, 1, 5, 2}), 3.5);
}

TEST(Statistics, OfSeveralSamples) {
  const Statistics statistics = summarise({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(statistics.median, 4.5);
  EXPECT_EQ(statistics.mean, 5);
  EXPECT_DOUBLE_EQ(statistics.sd, std::sqrt(32.0 / 7));  // squares of the differences: 32
}

TEST(Statistics, OfOneSampleHaveNoSpread) {
  const Statistics statistics = summarise({3});
  EXPECT_EQ(statistics.median, 3);
  EXPECT_EQ(statistics.mean, 3);
  EXPECT_EQ(statistics.sd, 0);
}

}  // namespace
}  // namespace diptych::measure
