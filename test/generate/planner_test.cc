// Plans against all that could be done instead.
#include "generate/planner.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace diptych::generate {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// Every sequence of calls of every length, one after the other.
double least(const Stretch& stretch, std::span<const Choice> choices, int64_t at = 0) {
  double best = kNever;
  if (at > stretch.room) return best;
  const int64_t rest = stretch.rows - at;
  for (const Choice& choice : choices) {
    for (int64_t rows = 1; rows <= std::min(choice.tokens, rest); ++rows) {
      const double after = rows == rest ? 0 : least(stretch, choices, at + rows);
      best = std::min(best, choice.cost.seconds(rows, rows == rest) + after);
    }
  }
  return best;
}

// What a plan takes; checks that it can be carried out.
double cost_of(const std::vector<PlannedCall>& calls, const Stretch& stretch,
               std::span<const Choice> choices) {
  double seconds = 0;
  int64_t at = 0;
  for (const PlannedCall& call : calls) {
    EXPECT_LE(at, stretch.room);
    EXPECT_GE(call.rows, 1);
    EXPECT_LE(call.rows, choices[call.function].tokens);
    at += call.rows;
    seconds += choices[call.function].cost.seconds(call.rows, at == stretch.rows);
  }
  EXPECT_EQ(at, stretch.rows);
  return seconds;
}

class Plans : public ::testing::Test {
 protected:
  double number(double most) { return std::uniform_real_distribution<double>(0, most)(random_); }
  int64_t integer(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }
  std::vector<Choice> choices(size_t count, int64_t longest) {
    std::vector<Choice> made;
    for (size_t i = 0; i < count; ++i) {
      made.push_back({integer(1, longest), {number(4), number(1), number(2), number(0.3)}});
    }
    return made;
  }

  std::mt19937 random_{3};
};

TEST_F(Plans, AreAsGoodAsTheBestOfAll) {
  for (int round = 0; round < 400; ++round) {
    const auto choices = this->choices(static_cast<size_t>(integer(1, 3)), 5);
    const int64_t rows = integer(1, 9);
    const Stretch stretch{rows, integer(0, 10)};
    const double best = least(stretch, choices);
    const auto calls = plan_calls(stretch, choices);
    ASSERT_EQ(calls.empty(), best == kNever);
    if (calls.empty()) continue;
    ASSERT_NEAR(cost_of(calls, stretch, choices), best, 1e-9);
  }
}

TEST_F(Plans, AreNeverWorseThanOneLengthAlone) {
  for (int round = 0; round < 50; ++round) {
    const auto choices = this->choices(4, 64);
    const Stretch stretch{integer(1, 600), 1000};
    const double planned = cost_of(plan_calls(stretch, choices), stretch, choices);
    for (const Choice& choice : choices) {
      double alone = 0;
      for (int64_t at = 0; at < stretch.rows; at += choice.tokens) {
        const int64_t rows = std::min(choice.tokens, stretch.rows - at);
        alone += choice.cost.seconds(rows, at + rows == stretch.rows);
      }
      EXPECT_LE(planned, alone + 1e-9);
    }
  }
}

std::vector<int64_t> rows_of(const std::vector<PlannedCall>& calls) {
  std::vector<int64_t> rows;
  for (const PlannedCall& call : calls) rows.push_back(call.rows);
  return rows;
}

// One for single tokens, which reads the weights for each; two for prompts, whose unused rows cost
// a little.
TEST_F(Plans, TakeWhatFits) {
  const Choice ladder[] = {{1, {10, 1, 0, 0}}, {64, {12, 1, 0, 0}}, {512, {30, 1, 0, 0}}};
  EXPECT_EQ(rows_of(plan_calls({1, 1000}, ladder)), (std::vector<int64_t>{1}));
  EXPECT_EQ(plan_calls({40, 1000}, ladder)[0].function, 1U);
  EXPECT_EQ(plan_calls({65, 1000}, ladder).size(), 2U);
  const auto three = plan_calls({300, 1000}, ladder);
  ASSERT_EQ(three.size(), 1U);
  EXPECT_EQ(three[0].function, 2U);
}

TEST_F(Plans, LeaveTheCacheInTheLastCallOnly) {
  const Choice pair[] = {{1, {1, 0.1, 0, 0}}, {8, {2, 0.1, 0, 0}}};
  EXPECT_EQ(rows_of(plan_calls({5, 4}, pair)), (std::vector<int64_t>{5}));
  const auto calls = plan_calls({12, 11}, pair);
  EXPECT_NEAR(cost_of(calls, {12, 11}, pair), least({12, 11}, pair), 1e-9);
  EXPECT_TRUE(plan_calls({20, 2}, pair).empty());
}

// One function alone, where it is expected to take hardly more than the best mix.
TEST_F(Plans, MixOnlyWhereThatIsWorthACall) {
  const auto choices = [](double spare) {
    return std::vector<Choice>{{8, {2, 1, 0, 0}}, {64, {2, 1, spare, 0}}};
  };
  const Stretch stretch{40, 1000};
  for (const double spare : {0.0, 0.05, 0.2}) {
    const std::vector<Choice> both = choices(spare);
    const double best = cost_of(plan_calls(stretch, both), stretch, both);
    const auto safe = plan_safely(stretch, both);
    EXPECT_LE(cost_of(safe, stretch, both), 1.08 * best + 1e-9);
    const auto alone = plan_alone(stretch, both, 1);
    ASSERT_EQ(alone.size(), 1U);
    EXPECT_EQ(alone[0].function, 1U);
    if (cost_of(alone, stretch, both) <= 1.08 * best) {
      EXPECT_EQ(rows_of(safe), rows_of(alone));
    } else {
      EXPECT_EQ(rows_of(safe), rows_of(plan_calls(stretch, both)));
    }
  }
}

// Of two functions that come near the best, the better one, however few calls the other takes.
TEST_F(Plans, OfFunctionsAloneTakeTheBest) {
  const Choice choices[] = {{64, {5, 1, 0, 0}}, {512, {14.5, 1, 0, 0}}};
  EXPECT_EQ(plan_safely({70, 1000}, choices).size(), 2U);
}

TEST_F(Plans, OfEqualCostsTakeTheFewestCalls) {
  const Choice choices[] = {{1, {}}, {8, {}}};
  EXPECT_EQ(rows_of(plan_calls({8, 100}, choices)), (std::vector<int64_t>{8}));
}

}  // namespace
}  // namespace diptych::generate
