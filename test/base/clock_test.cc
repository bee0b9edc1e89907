#include "base/clock.h"

#include <gtest/gtest.h>

#include <thread>

namespace diptych {
namespace {

TEST(Clock, CountsSeconds) {
  EXPECT_EQ(to_seconds(std::chrono::milliseconds(1500)), 1.5);
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_GE(seconds_since(start), 0.002);
}

}  // namespace
}  // namespace diptych
