#include "engine/arena.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "engine/strided.h"

namespace diptych::engine {
namespace {

TEST(ArenaPlanner, SharesReleasedSpace) {
  ArenaPlanner arena(1 << 20);
  const uint64_t a = arena.allocate(100).value();
  const uint64_t b = arena.allocate(100).value();
  EXPECT_NE(a, b);
  arena.release(a, 100);
  EXPECT_EQ(arena.allocate(128).value(), a);
  EXPECT_EQ(arena.block_size(), 256u);
}

TEST(ArenaPlanner, JoinsNeighboursAndGrowsAtTheEnd) {
  ArenaPlanner arena(1 << 20);
  const uint64_t a = arena.allocate(64).value();
  const uint64_t b = arena.allocate(64).value();
  const uint64_t c = arena.allocate(64).value();
  arena.release(a, 64);
  arena.release(c, 64);
  arena.release(b, 64);  // joins both sides
  EXPECT_EQ(arena.allocate(192).value(), 0u);
  arena.release(0, 192);
  EXPECT_EQ(arena.allocate(256).value(), 0u);  // the free end is extended
  EXPECT_EQ(arena.block_size(), 256u);
}

TEST(ArenaPlanner, RefusesWhatIsBeyondTheLimit) {
  ArenaPlanner arena(1000);
  EXPECT_FALSE(arena.allocate(1001));
  EXPECT_FALSE(arena.allocate(UINT64_MAX));
  EXPECT_TRUE(arena.allocate(640));
  EXPECT_FALSE(arena.allocate(640));
}

TEST(ArenaPlanner, NeverGivesSpaceTwice) {
  ArenaPlanner arena(1 << 24);
  std::mt19937 random(3);
  struct Range {
    uint64_t offset, size;
  };
  std::vector<Range> live;
  for (int i = 0; i < 3000; ++i) {
    if (!live.empty() && random() % 2 == 0) {
      const size_t which = random() % live.size();
      arena.release(live[which].offset, live[which].size);
      live.erase(live.begin() + static_cast<int64_t>(which));
      continue;
    }
    const uint64_t size = random() % 2000;
    const uint64_t offset = arena.allocate(size).value();
    EXPECT_EQ(offset % 64, 0u);
    EXPECT_LE(offset + size, arena.block_size());
    for (const Range& other : live) {
      EXPECT_TRUE(offset + size <= other.offset || other.offset + other.size <= offset);
    }
    live.push_back({offset, size});
  }
}

TEST(StridedLoop, MergesDenseAxesIntoOneRun) {
  const Shape shape{2, 1, 3, 4};
  const StridedLoop<1> loop(shape, {row_major_strides(shape)});
  EXPECT_EQ(loop.runs(), 1);
  EXPECT_EQ(loop.run_length(), 24);
  EXPECT_EQ(loop.steps()[0], 1);
}

TEST(StridedLoop, VisitsEveryElementFromAnyStart) {
  const Shape shape{3, 2, 5};
  const StridedLoop<2> loop(shape, {Shape{1, 15, 3}, Shape{0, 5, 1}});
  std::vector<int64_t> whole;
  const auto record = [&](std::vector<int64_t>* to) {
    return [&loop, to](int64_t, const StridedLoop<2>::Offsets& at) {
      for (int64_t i = 0; i < loop.run_length(); ++i) {
        to->push_back(at[0] + i * loop.steps()[0]);
        to->push_back(at[1] + i * loop.steps()[1]);
      }
    };
  };
  loop.walk(0, loop.runs(), record(&whole));
  std::vector<int64_t> expected;
  for (int64_t i = 0; i < 3; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      for (int64_t k = 0; k < 5; ++k) {
        expected.push_back(i + 15 * j + 3 * k);
        expected.push_back(5 * j + k);
      }
    }
  }
  EXPECT_EQ(whole, expected);
  std::vector<int64_t> pieces;
  for (int64_t run = 0; run < loop.runs(); ++run) loop.walk(run, run + 1, record(&pieces));
  EXPECT_EQ(pieces, expected);
}

TEST(StridedLoop, ScalarIsOneRunOfOne) {
  const StridedLoop<1> loop({}, {Shape{}});
  int visits = 0;
  loop.walk(0, loop.runs(), [&](int64_t, const StridedLoop<1>::Offsets& at) {
    EXPECT_EQ(at[0], 0);
    ++visits;
  });
  EXPECT_EQ(visits, 1);
  EXPECT_EQ(loop.run_length(), 1);
}

}  // namespace
}  // namespace diptych::engine
