#include "kernels/fetch_choice.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace diptych::kernels {
namespace {

constexpr int64_t kLarge = FetchChoice::kLeastBytes;

// Gives all samples, fetched ahead and not, at these costs; half of the first kind are disturbed.
void add_all(FetchChoice& choice, float fetched, float plain) {
  for (uint32_t i = 0; i < 2 * FetchChoice::kSamples; ++i) {
    const bool disturbed = i / 2 % 2 == 1;
    choice.add(i, (i % 2 == 0 ? fetched : plain) * (disturbed && i % 2 == 0 ? 100 : 1));
  }
}

TEST(FetchChoice, FetchesUntilItKnowsBetter) {
  FetchChoice choice;
  EXPECT_TRUE(choice.ahead());
  choice.add(0, 9);
  choice.add(1, 1);
  EXPECT_TRUE(choice.ahead());
}

TEST(FetchChoice, TakesTheFasterWay) {
  FetchChoice with, without;
  add_all(with, 0.05f, 0.06f);
  EXPECT_TRUE(with.ahead());
  add_all(without, 0.06f, 0.05f);
  EXPECT_FALSE(without.ahead());
  without.run(kLarge, [](bool fetch_ahead) { EXPECT_FALSE(fetch_ahead); });
}

TEST(FetchChoice, RunsEveryCallOnceAndTriesBothWays) {
  FetchChoice choice;
  constexpr int kThreads = 4, kCalls = FetchChoice::kSamples * FetchChoice::kStride / 4 + 100;
  std::atomic<int> calls{0}, fetched{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kCalls; ++j) {
        choice.run(kLarge, [&](bool fetch_ahead) {
          ++calls;
          if (fetch_ahead) ++fetched;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(calls, kThreads * kCalls);
  EXPECT_GE(fetched, static_cast<int>(FetchChoice::kSamples));
  EXPECT_GE(calls - fetched, static_cast<int>(FetchChoice::kSamples));
}

// What is read in a microsecond says nothing.
TEST(FetchChoice, SmallCallsAreNoSamples) {
  FetchChoice choice;
  for (int i = 0; i < 1000; ++i) {
    choice.run(kLarge - 1, [](bool fetch_ahead) { EXPECT_TRUE(fetch_ahead); });
  }
}

}  // namespace
}  // namespace diptych::kernels
