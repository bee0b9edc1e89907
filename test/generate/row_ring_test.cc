#include "generate/row_ring.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace diptych::generate {
namespace {

constexpr int64_t kHeads = 3;

// Rings of bytes beside all rows that were ever appended.
class Rings : public ::testing::TestWithParam<int64_t> {
 protected:
  void append() {
    std::vector<std::byte> row;
    for (int64_t head = 0; head < kHeads; ++head) row.push_back(std::byte(random_() % 256));
    ring_.append(static_cast<int64_t>(rows_.size()), row.data(), 1);
    rows_.push_back(std::move(row));
  }

  // The last `count` slots hold the last tokens.
  void expect_last(int64_t count) {
    const auto tokens = static_cast<int64_t>(rows_.size());
    const Bytes view = ring_.view();
    ASSERT_EQ(view.size(), static_cast<size_t>(kHeads * slots_));
    for (int64_t head = 0; head < kHeads; ++head) {
      for (int64_t back = 1; back <= std::min(count, tokens); ++back) {
        const auto row = static_cast<size_t>(tokens - back);
        ASSERT_EQ(view[static_cast<size_t>((head + 1) * slots_ - back)],
                  rows_[row][static_cast<size_t>(head)])
            << "head " << head << ", token " << row << " of " << tokens;
      }
    }
  }

  void rewind(int64_t tokens) {
    ring_.rewind(static_cast<int64_t>(rows_.size()), tokens);
    rows_.resize(static_cast<size_t>(tokens));
  }

  int64_t slots_ = GetParam();
  std::vector<std::byte> memory_{static_cast<size_t>(RingShape{kHeads, slots_, 1}.bytes())};
  RowRing ring_{{kHeads, slots_, 1}, memory_};
  std::vector<std::vector<std::byte>> rows_;
  std::mt19937 random_{3};
};

TEST_P(Rings, HoldTheLatestRowsInOrder) {
  for (int i = 0; i < 100; ++i) {
    append();
    ASSERT_NO_FATAL_FAILURE(expect_last(slots_));
  }
}

TEST_P(Rings, GiveBackWhatDroppedOut) {
  int rewound = 0, refused = 0;
  for (int step = 0; step < 3000; ++step) {
    const auto tokens = static_cast<int64_t>(rows_.size());
    if (tokens == 0 || random_() % 8 != 0) {
      append();
      ASSERT_NO_FATAL_FAILURE(expect_last(1));
      continue;
    }
    const auto to =
        tokens -
        static_cast<int64_t>(random_() % static_cast<uint32_t>(std::min(tokens, 3 * slots_) + 1));
    const auto needed = static_cast<int64_t>(random_() % static_cast<uint32_t>(slots_ + 1));
    if (!ring_.holds(to, needed)) {
      ++refused;
      EXPECT_TRUE(ring_.holds(0, needed));
      continue;
    }
    ++rewound;
    rewind(to);
    ASSERT_NO_FATAL_FAILURE(expect_last(needed));
  }
  EXPECT_GT(rewound, 100);
  EXPECT_GT(refused, 10);
}

// As many tokens as there are slots can always be taken back once.
TEST_P(Rings, HoldOutARewindOfTheirLength) {
  for (int64_t tokens = 1; tokens < 5 * slots_; ++tokens) {
    rewind(0);
    while (static_cast<int64_t>(rows_.size()) < tokens) append();
    const int64_t to = std::max<int64_t>(0, tokens - slots_);
    ASSERT_TRUE(ring_.holds(to, slots_)) << tokens;
    rewind(to);
    ASSERT_NO_FATAL_FAILURE(expect_last(slots_));
  }
}

INSTANTIATE_TEST_SUITE_P(Slots, Rings, ::testing::Values(1, 2, 5, 8));

}  // namespace
}  // namespace diptych::generate
