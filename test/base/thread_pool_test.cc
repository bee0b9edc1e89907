#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <numeric>
#include <thread>
#include <vector>

#include "base/cpu_count.h"

namespace diptych {
namespace {

TEST(ThreadPool, CoversEveryIndexOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t count : {0, 1, 2, 7, 63, 64, 65, 1000}) {
      for (const int64_t grain : {0, 1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> hits(static_cast<size_t>(count));
        std::atomic<int64_t> ranges{0};
        pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
          EXPECT_LT(begin, end);
          EXPECT_TRUE(end == count || (end - begin) % std::max<int64_t>(grain, 1) == 0)
              << begin << ".." << end;
          for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
          ++ranges;
        });
        for (const auto& hit : hits) ASSERT_EQ(hit, 1);
        EXPECT_TRUE(ranges == (count > 0 ? 1 : 0) || grain < count);
      }
    }
  }
}

// Many short calls in a row: workers enter late, leave late, and must never see a call that ended.
TEST(ThreadPool, ServesManyShortCalls) {
  ThreadPool pool(4);
  for (int call = 0; call < 20000; ++call) {
    std::atomic<int64_t> sum{0};
    pool.parallel_for(16, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sum += i + call;
    });
    ASSERT_EQ(sum, 120 + 16 * int64_t{call});
  }
}

TEST(ThreadPool, ServesSeveralCallersInTurn) {
  ThreadPool pool(3);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int call = 0; call < 2000; ++call) {
        std::atomic<int64_t> sum{0};
        pool.parallel_for(100, 3, [&](int64_t begin, int64_t end) { sum += end - begin; });
        if (sum != 100) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ThreadPool, NumbersItsThreads) {
  ThreadPool pool(4);
  for (int call = 0; call < 2000; ++call) {
    std::vector<std::atomic<int>> bodies(4);
    std::atomic<int> wrong{0};
    pool.parallel_for(64, 1, [&](int64_t, int64_t, int thread) {
      if (thread < 0 || thread >= pool.threads() || ++bodies[static_cast<size_t>(thread)] != 1) {
        ++wrong;
        return;
      }
      --bodies[static_cast<size_t>(thread)];
    });
    ASSERT_EQ(wrong, 0);
  }
}

TEST(ThreadPool, WakesSleepers) {
  ThreadPool pool(2);
  for (int call = 0; call < 20; ++call) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // Each waits for the other, so both threads must take part.
    std::atomic<int> arrived{0};
    pool.parallel_for(2, 1, [&](int64_t, int64_t) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();
    });
  }
}

TEST(CpuCount, ReadsQuotas) {
  EXPECT_EQ(quota_from_cpu_max("max 100000"), 0);
  EXPECT_EQ(quota_from_cpu_max("200000 100000"), 2);
  EXPECT_EQ(quota_from_cpu_max("150000 100000"), 2);
  EXPECT_EQ(quota_from_cpu_max("1000 100000"), 1);
  EXPECT_EQ(quota_from_cpu_max(""), 0);
  EXPECT_EQ(quota_from_cpu_max("12"), 0);
  EXPECT_EQ(quota_from_cpu_max("0 100000"), 0);
  EXPECT_EQ(quota_from_cfs("-1", "100000"), 0);
  EXPECT_EQ(quota_from_cfs("400000", "100000"), 4);
  EXPECT_EQ(first_of_cpu_list("3,67"), 3);
  EXPECT_EQ(first_of_cpu_list("2-3"), 2);
  EXPECT_EQ(first_of_cpu_list(""), -1);
  EXPECT_GE(usable_cpus(), 1);
}

TEST(ThreadPool, WhatABodyThrowsReachesTheCaller) {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 100; ++round) {
      std::atomic<int> inside{0};
      const auto call = [&](int64_t bad) {
        pool.parallel_for(1000, 1, [&](int64_t begin, int64_t end) {
          ++inside;
          const bool throws = begin <= bad && bad < end;
          --inside;
          if (throws) throw std::bad_alloc();
        });
      };
      EXPECT_THROW(call(round * 7), std::bad_alloc);
      EXPECT_EQ(inside, 0);
      EXPECT_NO_THROW(call(-1));
    }
  }
}

}  // namespace
}  // namespace diptych
