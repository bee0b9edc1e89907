#include "kernels/isa.h"

#include <gmock/gmock.h>
#include <hwy/highway.h>

#include <cstdlib>

#include "kernels_test_util.h"

namespace diptych::kernels {
namespace {

TEST(Isa, ScalarIsAlwaysAvailableAndFirst) { EXPECT_EQ(available_isas().front(), Isa::Scalar); }

TEST(Isa, NamesOfAvailableOnesAreUnderstood) {
  for (const Isa isa : available_isas()) EXPECT_EQ(isa_from_name(name(isa)), isa);
}

TEST(Isa, AnUnknownNameIsAnErrorThatListsTheNames) {
  const auto isa = isa_from_name("mmx");
  ASSERT_FALSE(isa);
  EXPECT_EQ(isa.error().code, ErrorCode::InvalidArgument);
  for (const Isa available : available_isas()) {
    EXPECT_THAT(isa.error().message, testing::HasSubstr(std::string(name(available))));
  }
}

TEST(Isa, OneThatTheMachineLacksIsAnErrorThatSaysSo) {
  for (const Isa isa : all_isas()) {
    const auto found = isa_from_name(name(isa));
    if (found) continue;
    EXPECT_EQ(found.error().code, ErrorCode::Unsupported);
    EXPECT_THAT(found.error().message, testing::HasSubstr("this machine has no"));
  }
}

TEST(Isa, TheEnvironmentChooses) {
  const char* before = std::getenv("DIPTYCH_ISA");
  const std::string saved = before == nullptr ? "" : before;
  ::setenv("DIPTYCH_ISA", "scalar", 1);
  EXPECT_EQ(configured_isa(), Isa::Scalar);
  ::setenv("DIPTYCH_ISA", "fast", 1);
  ASSERT_FALSE(configured_isa());
  EXPECT_EQ(configured_isa().error().context, "DIPTYCH_ISA");
  ::setenv("DIPTYCH_ISA", "", 1);
  EXPECT_EQ(configured_isa(), available_isas().back());
  ::setenv("DIPTYCH_ISA", saved.c_str(), 1);
}

// Run once more for each instruction set that is forced.
TEST(Isa, HighwayKeepsToTheSelectedOne) {
  if (auto wanted = configured_isa(); !wanted) GTEST_SKIP() << wanted.error().to_string();
  const Isa isa = selected_isa();
  // Of those that kernels were compiled for.
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS, best = targets & -targets;
  if (isa == Isa::Scalar) {
    EXPECT_EQ(best, int64_t{HWY_STATIC_TARGET});
#if HWY_ARCH_X86
  } else if (isa == Isa::Avx2 || isa == Isa::AvxVnni) {
    EXPECT_EQ(best, int64_t{HWY_AVX2});
  } else {
    EXPECT_LT(best, int64_t{HWY_AVX2});
#endif
  }
}

}  // namespace
}  // namespace diptych::kernels
