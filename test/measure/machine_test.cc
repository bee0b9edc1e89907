// What is measured of machine and process is plausible.
#include "measure/machine.h"

#include <gtest/gtest.h>

#include <vector>

#include "measure/limits.h"
#include "testing/shared_data.h"

namespace diptych::measure {
namespace {

TEST(Machine, HasANameAndMemory) {
  EXPECT_FALSE(cpu_model().empty());
  EXPECT_GT(available_memory_bytes(), uint64_t{1} << 20);
}

TEST(Machine, PeakMemorySeesWhatIsTouched) {
  constexpr size_t kBytes = size_t{64} << 20;
  reset_peak_memory();
  const uint64_t before = peak_memory_bytes();
  EXPECT_GT(before, 0U);
  const std::vector<char> touched(kBytes, 1);
  EXPECT_EQ(touched[kBytes / 2], 1);
  EXPECT_GT(peak_memory_bytes(), before + kBytes / 2);
}

TEST(Limits, ArePlausible) {
  ThreadPool pool(1);
  const auto reader = MemoryReader::create(pool);
  ASSERT_OK(reader);
  EXPECT_GE((*reader)->size(), uint64_t{1} << 20);
  // Bytes and operations per second: more than any machine's floppy, less than any one core's.
  EXPECT_GT((*reader)->measure(pool), 1e8);
  EXPECT_LT((*reader)->measure(pool), 1e12);
  EXPECT_GT(measure_fma(pool), 1e8);
  EXPECT_LT(measure_fma(pool), 1e13);
}

}  // namespace
}  // namespace diptych::measure
