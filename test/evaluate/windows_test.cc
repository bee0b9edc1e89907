#include "evaluate/windows.h"

#include <gmock/gmock.h>

namespace diptych::evaluate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::vector<int64_t> kText = {10, 11, 12, 13, 14};
const std::vector<int64_t> kBos = {1}, kNone;

TEST(Windows, BeginWithBosAndCountEveryTokenOnce) {
  const auto windows = make_windows(kText, kBos, 3);
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_THAT(windows[0].inputs, ElementsAre(1, 10, 11));
  EXPECT_THAT(windows[0].targets, ElementsAre(10, 11, 12));
  EXPECT_THAT(windows[1].inputs, ElementsAre(1, 13));
  EXPECT_THAT(windows[1].targets, ElementsAre(13, 14));
}

TEST(Windows, WithoutBosBeginWithTheTokenBefore) {
  const auto windows = make_windows(kText, kNone, 3);
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_THAT(windows[0].inputs, ElementsAre(10, 11, 12));
  EXPECT_THAT(windows[0].targets, ElementsAre(11, 12, 13));
  EXPECT_THAT(windows[1].inputs, ElementsAre(13));
  EXPECT_THAT(windows[1].targets, ElementsAre(14));
}

TEST(Windows, OfALongerPrefixLeadWithIt) {
  const std::vector<int64_t> prefix = {1, 2};
  const auto windows = make_windows(kText, prefix, 4);
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_THAT(windows[1].lead, ElementsAre(1));
  EXPECT_THAT(windows[1].inputs, ElementsAre(2, 13));
  EXPECT_THAT(windows[1].targets, ElementsAre(13, 14));
  EXPECT_THAT(make_windows(kText, prefix, 1), IsEmpty());
}

TEST(Windows, StopAtTheMostPositions) {
  const auto windows = make_windows(kText, kBos, 3, 4);
  ASSERT_THAT(windows, SizeIs(2));
  EXPECT_THAT(windows[1].targets, ElementsAre(13));
  EXPECT_THAT(make_windows(kText, kNone, 3, 2)[0].targets, ElementsAre(11, 12));
  EXPECT_THAT(make_windows(kText, kBos, 3, 100), SizeIs(2));
}

TEST(Windows, PartsHoldEachWindowOnceInOrder) {
  std::vector<Window> windows;
  for (int64_t i = 0; i < 7; ++i) windows.push_back({{i}, {i}});
  for (const int64_t parts : {1, 3, 7, 16}) {
    std::vector<int64_t> seen;
    for (int64_t part = 0; part < parts; ++part) {
      const auto some = part_of(windows, part, parts);
      EXPECT_LE(std::ssize(some), (7 + parts - 1) / parts);
      for (const Window& window : some) seen.push_back(window.inputs[0]);
    }
    EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4, 5, 6)) << parts;
  }
}

TEST(Windows, OfTooLittleTextAreNone) {
  EXPECT_THAT(make_windows(kNone, kBos, 3), IsEmpty());
  EXPECT_THAT(make_windows(kNone, kNone, 3), IsEmpty());
  EXPECT_THAT(make_windows(std::span(kText).first(1), kNone, 3), IsEmpty());
  EXPECT_THAT(make_windows(std::span(kText).first(1), kBos, 3), SizeIs(1));
}

}  // namespace
}  // namespace diptych::evaluate
