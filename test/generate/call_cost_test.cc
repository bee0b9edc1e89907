// Predictions that are corrected by what was measured.
#include "generate/call_cost.h"

#include <gtest/gtest.h>

namespace diptych::generate {
namespace {

constexpr CallCost kPredicted{2, 0.5, 1, 0};

TEST(CallCosts, ArePredictedUntilCallsWereMeasured) {
  CallCosts costs;
  costs.add_function(kPredicted);
  EXPECT_DOUBLE_EQ(costs.cost(0).seconds(4, true), 5);
  costs.add(0, 4, true, 100);  // the first call reads the file
  EXPECT_DOUBLE_EQ(costs.cost(0).seconds(4, true), 5);
}

TEST(CallCosts, ComeToWhatIsMeasured) {
  CallCosts costs;
  costs.add_function(kPredicted);
  const CallCost truth = kPredicted.scaled(6, 3);
  for (int i = 0; i < 60; ++i) {
    const int64_t rows = i % 2 == 0 ? 2 : 40;
    costs.add(0, rows, true, truth.seconds(rows, true));
  }
  for (const int64_t rows : {1, 16, 64}) {
    EXPECT_NEAR(costs.cost(0).seconds(rows, true) / truth.seconds(rows, true), 1, 0.15) << rows;
  }
}

TEST(CallCosts, OfOneFunctionScaleThoseOfOthers) {
  CallCosts costs;
  costs.add_function(kPredicted);
  costs.add_function(kPredicted);
  for (int i = 0; i < 50; ++i) costs.add(0, 8, true, 4 * kPredicted.seconds(8, true));
  EXPECT_NEAR(costs.cost(1).seconds(8, true) / kPredicted.seconds(8, true), 4, 0.2);
}

// One call that was disturbed does not turn what many said.
TEST(CallCosts, ForgiveAnOutlier) {
  CallCosts costs;
  costs.add_function(kPredicted);
  for (int i = 0; i < 20; ++i) costs.add(0, 8, true, kPredicted.seconds(8, true));
  costs.add(0, 8, true, 1000 * kPredicted.seconds(8, true));
  EXPECT_LT(costs.cost(0).seconds(8, true), 1.5 * kPredicted.seconds(8, true));
}

TEST(CallCosts, GrowWithWork) {
  MethodCost small, large;
  small.weight_bytes = large.weight_bytes = 1000000;
  small.per_token.int4 = large.per_token.int4 = 1000000;
  large.per_call.int4 = 500000;
  const CallCost cost = predict(small, large, 16, 2);
  EXPECT_GT(cost.seconds(16, false), cost.seconds(1, false));
  EXPECT_GT(cost.seconds(1, true), cost.seconds(1, false));
  EXPECT_GT(predict(small, large, 64, 2).seconds(1, false), cost.seconds(1, false));
  EXPECT_LT(predict(small, large, 16, 4).row, cost.row);
}

}  // namespace
}  // namespace diptych::generate
