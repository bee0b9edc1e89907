// What is measured of machine and process is plausible.
#include "measure/machine.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/proc.h"
#include "kernels/bf16.h"
#include "measure/limits.h"
#include "testing/shared_data.h"

namespace diptych::measure {
namespace {

using kernels::Arithmetic;

TEST(Machine, HasANameAndMemory) {
  EXPECT_FALSE(cpu_model().empty());
  EXPECT_GT(available_memory_bytes(), uint64_t{1} << 20);
}

TEST(Machine, DescribesItself) {
  const Machine machine = describe_machine();
  EXPECT_EQ(machine.cpu, cpu_model());
  EXPECT_GE(machine.cores, 1);
  EXPECT_GE(machine.cpus, machine.cores);
  EXPECT_GE(machine.affinity, 1);
  EXPECT_GE(machine.cgroup_cpus, 0);
  EXPECT_GE(machine.memory_bytes, available_memory_bytes());
  for (const Cache& cache : machine.caches) {
    EXPECT_GE(cache.level, 1);
    EXPECT_GE(cache.bytes, 1024U);
    EXPECT_GE(cache.cpus, 1);
  }
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
  // Bytes and operations per second: less than any one core's, and more than a machine that is busy
  // with other things still gives.
  EXPECT_GT((*reader)->measure(pool), 1e6);
  EXPECT_LT((*reader)->measure(pool), 1e12);
  EXPECT_GT(measure_fma(pool), 1e6);
  EXPECT_LT(measure_fma(pool), 1e13);
}

TEST(Limits, OfDotProducts) {
  ThreadPool pool(1);
  for (const kernels::Isa isa : kernels::available_isas()) {
    for (const Arithmetic arithmetic : kernels::kArithmetics) {
      const double peak = measure_dot(pool, isa, arithmetic);
      if (isa == kernels::Isa::Scalar || arithmetic == Arithmetic::Fp32 ||
          (arithmetic == Arithmetic::Bf16 && !kernels::has_bf16(isa))) {
        EXPECT_EQ(peak, 0);
      } else {
        EXPECT_GT(peak, 1e7) << kernels::name(isa);
        EXPECT_LT(peak, 1e14) << kernels::name(isa);
      }
    }
  }
}

TEST(Limits, OfAMixIsEachKindAtItsPeak) {
  const Peaks peaks{400, 200, 160, 100};
  EXPECT_EQ(peak_of({8, 0, 0, 0}, peaks), 400);
  EXPECT_EQ(peak_of({0, 8, 0, 0}, peaks), 200);
  EXPECT_EQ(peak_of({0, 0, 8, 0}, peaks), 160);
  EXPECT_EQ(peak_of({0, 0, 0, 8}, peaks), 100);
  EXPECT_DOUBLE_EQ(peak_of({400, 0, 0, 100}, peaks), 250);  // in two seconds
  EXPECT_EQ(peak_of({5, 3, 2, 1}, {.fp32 = 100}), 100);     // no dot products
  EXPECT_EQ(peak_of({}, peaks), 100);
}

}  // namespace
}  // namespace diptych::measure
