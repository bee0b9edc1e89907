// Upstream's own .pte files against upstream's eager model, through our engine.

#include <gtest/gtest.h>

#include "golden_models.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using testing::GoldenModel;

class GoldenPte : public ::testing::TestWithParam<GoldenModel> {};

TEST_P(GoldenPte, AgreesWithTheEagerModel) {
  const GoldenModel& golden = GetParam();
  const std::string path = testing::shared_data("golden/pte/" + golden.pte + ".pte");
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte/" + golden.pte + ".pte");
  if (golden.variant.empty())
    GTEST_SKIP() << "no eager logits for this variant; see the replay test";
  for (const auto numerics : {engine::Numerics::Precise, engine::Numerics::Typed}) {
    const bool precise = numerics == engine::Numerics::Precise;
    const auto agreement =
        testing::compare_with_eager(path, golden, numerics, precise ? "c32" : "c16");
    ASSERT_OK(agreement);
    fmt::print("{:<34} {:<8} max {:.5f} mean {:.6f} top-1 {:.1f} % greedy {}/{}\n", golden.pte,
               engine::name(numerics), agreement->max_difference, agreement->mean_difference,
               100 * agreement->top1, agreement->greedy_equal, agreement->greedy_expected);
    EXPECT_LE(agreement->max_difference, golden.fp32 ? 1e-3 : precise ? 5e-3 : 0.1);
    EXPECT_GE(agreement->top1, 0.98);
    EXPECT_EQ(agreement->greedy_equal, agreement->greedy_expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Upstream, GoldenPte, ::testing::ValuesIn(testing::golden_models()),
                         [](const auto& test) { return test.param.pte; });

}  // namespace
}  // namespace diptych
