#include "evaluate/windows.h"

#include <gmock/gmock.h>

namespace diptych::evaluate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::vector<int64_t> kText = {10, 11, 12, 13, 14};
constexpr int64_t kBos = 1;

TEST(Windows, BeginWithBosAndCountEveryTokenOnce) {
  const auto windows = make_windows(kText, kBos, 3);
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_THAT(windows[0].inputs, ElementsAre(kBos, 10, 11));
  EXPECT_THAT(windows[0].targets, ElementsAre(10, 11, 12));
  EXPECT_THAT(windows[1].inputs, ElementsAre(kBos, 13));
  EXPECT_THAT(windows[1].targets, ElementsAre(13, 14));
}

TEST(Windows, WithoutBosBeginWithTheTokenBefore) {
  const auto windows = make_windows(kText, std::nullopt, 3);
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_THAT(windows[0].inputs, ElementsAre(10, 11, 12));
  EXPECT_THAT(windows[0].targets, ElementsAre(11, 12, 13));
  EXPECT_THAT(windows[1].inputs, ElementsAre(13));
  EXPECT_THAT(windows[1].targets, ElementsAre(14));
}

TEST(Windows, StopAtTheMostPositions) {
  const auto windows = make_windows(kText, kBos, 3, 4);
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_THAT(windows[1].targets, ElementsAre(13));
  EXPECT_THAT(make_windows(kText, std::nullopt, 3, 2)[0].targets, ElementsAre(11, 12));
  EXPECT_THAT(make_windows(kText, kBos, 3, 100), SizeIs(2));
}

TEST(Windows, OfTooLittleTextAreNone) {
  EXPECT_THAT(make_windows({}, kBos, 3), IsEmpty());
  EXPECT_THAT(make_windows({}, std::nullopt, 3), IsEmpty());
  EXPECT_THAT(make_windows(std::span(kText).first(1), std::nullopt, 3), IsEmpty());
  EXPECT_THAT(make_windows(std::span(kText).first(1), kBos, 3), SizeIs(1));
}

}  // namespace
}  // namespace diptych::evaluate
