#include "kernels/outliers.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "kernels_test_util.h"

namespace diptych::kernels {
namespace {

using ::testing::ElementsAre;

std::vector<int32_t> columns_of(const Outliers& found) {
  return {found.columns, found.columns + found.count};
}

TEST(Outliers, AreWhatTheOthersOfTheirBlockLoseMuchBy) {
  std::vector<float> x(320, 1.0f);
  x[7] = -50, x[100] = 1.9f, x[310] = 30;
  const Outliers found = find_outliers(x.data(), 320);
  EXPECT_THAT(columns_of(found), ElementsAre(7, 310));
  EXPECT_EQ(found.values[0], -50);
  EXPECT_EQ(found.values[1], 30);
  x[8] = 49;  // either alone leaves the other
  EXPECT_THAT(columns_of(find_outliers(x.data(), 320)), ElementsAre(7, 8, 310));
  x[9] = x[10] = 48;  // too many of one block
  EXPECT_THAT(columns_of(find_outliers(x.data(), 320)), ElementsAre(310));
}

TEST(Outliers, AreThoseOfTheBlocksThatGainMostWhereThereAreMany) {
  std::vector<float> x(2000, 0.01f);
  for (size_t i = 0; i < 12; ++i) x[100 * i] = i % 2 == 0 ? 30.0f : -20.0f;
  x[450] = 25;
  EXPECT_THAT(columns_of(find_outliers(x.data(), 2000)),
              ElementsAre(0, 100, 200, 400, 450, 600, 800, 1000));
}

TEST(Outliers, AreNoneOfEvenRowsAndOfThoseThatAreNotFinite) {
  EXPECT_EQ(find_outliers(std::vector<float>(64, 3.0f).data(), 64).count, 0);
  EXPECT_EQ(find_outliers(std::vector<float>(64, 0.0f).data(), 64).count, 0);
  EXPECT_EQ(find_outliers(random_floats(4096, 1).data(), 4096).count, 0);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> x(64, 1.0f);
    x[3] = 1000, x[40] = bad;
    EXPECT_EQ(find_outliers(x.data(), 64).count, 0);
  }
}

class OutliersOfLinears : public ForEachIsa {};
DIPTYCH_FOR_EACH_ISA(OutliersOfLinears);

// What an outlier costs the other values of its block without this: all their bits.
TEST_P(OutliersOfLinears, LeaveTheOtherValuesTheirSteps) {
  auto x = random_floats(64, 3);
  const Quantized even(GetParam(), x, 1, 64, DType::Int4);
  x[10] = 1e6f;
  const Quantized uneven(GetParam(), x, 1, 64, DType::Int4);
  EXPECT_EQ(uneven.number(0, 10), 1e6f);
  for (int64_t i = 0; i < 64; ++i) {
    if (i == 10) continue;
    EXPECT_NEAR(uneven.number(0, i), x[static_cast<size_t>(i)], even.scale(0, i));
  }
}

}  // namespace
}  // namespace diptych::kernels
