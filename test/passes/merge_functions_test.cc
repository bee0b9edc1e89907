#include "passes/merge_functions.h"

#include <gmock/gmock.h>

#include "pass_testing.h"

namespace diptych::passes {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kTwoPartitions = R"(func @f(%x: fp16[1,32]) opset "CoreML8" {
  %w: fp16[32,32] = random(1)
  %b: fp16[32] = zeros
  %n: fp16[32] = random(2)
  %y: fp16[1,32] = linear(x=%x, weight=%w, bias=%b)
  %y1: fp16[1,32] = diptych.graph_break(values=[%y])
  %z: fp16[1,32] = mul(x=%y1, y=%n)
  return %z
}
)";

// The same model as two methods that share its weights.
std::vector<CutMethod> two_methods() {
  const mil::Program program = twice(parsed(kTwoPartitions));
  std::vector<CutMethod> methods;
  for (const auto& function : program.functions) {
    methods.push_back(cut_at_breaks(*function).value());
  }
  return methods;
}

std::vector<std::string> function_names(const Package& package) {
  std::vector<std::string> found;
  for (const auto& function : package.program.functions) found.push_back(function->name);
  return found;
}

TEST(MergeFunctions, PositionalPutsPartitionsOfAnIndexTogether) {
  auto methods = two_methods();
  const auto packages = merge_functions(methods, WeightSharing::Positional);
  ASSERT_OK(packages);
  ASSERT_EQ(packages->size(), 2u);
  for (size_t p = 0; p < 2; ++p) {
    const Package& package = (*packages)[p];
    EXPECT_THAT(function_names(package), ElementsAre("forward", "prefill"));
    ASSERT_EQ(package.members.size(), 2u);
    for (size_t m = 0; m < 2; ++m) {
      EXPECT_EQ(package.members[m].method, m);
      EXPECT_EQ(package.members[m].partition, p);
    }
    EXPECT_TRUE(mil::verify(package.program).has_value());
  }
  // 32*32 + 32 halves, then 32 halves; each held once though two functions use it.
  EXPECT_EQ(count_constant_bytes((*packages)[0].program).total, 2u * 2112);
  EXPECT_EQ(count_constant_bytes((*packages)[0].program).unique, 2112u);
  EXPECT_EQ(count_constant_bytes((*packages)[0].program).shared(), 2112u);
  EXPECT_EQ(count_constant_bytes((*packages)[1].program).unique, 64u);
}

TEST(MergeFunctions, DisabledLeavesEachAlone) {
  auto methods = two_methods();
  const auto packages = merge_functions(methods, WeightSharing::Disabled);
  ASSERT_OK(packages);
  ASSERT_EQ(packages->size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_THAT(function_names((*packages)[i]), ElementsAre("main"));
    EXPECT_EQ((*packages)[i].members[0].method, i / 2);
    EXPECT_EQ((*packages)[i].members[0].partition, i % 2);
    EXPECT_EQ(count_constant_bytes((*packages)[i].program).shared(), 0u);
  }
}

TEST(MergeFunctions, OneMethodIsLeftAloneWhateverTheSharing) {
  auto methods = two_methods();
  methods.pop_back();
  const auto packages = merge_functions(methods, WeightSharing::Positional);
  ASSERT_OK(packages);
  ASSERT_EQ(packages->size(), 2u);
  EXPECT_THAT(function_names((*packages)[1]), ElementsAre("main"));
}

TEST(MergeFunctions, UnequalPartitionCountsAreRefusedUnlessDisabled) {
  auto methods = two_methods();
  methods[1].partitions.pop_back();
  const auto packages = merge_functions(methods, WeightSharing::Positional);
  ASSERT_FALSE(packages.has_value());
  EXPECT_EQ(packages.error().to_string(),
            "positional weight sharing needs the same number of partitions in every method, but "
            "'forward' has 2, 'prefill' has 1; give the methods the same graph breaks, share in "
            "one package or disable weight sharing");
  EXPECT_EQ(merge_functions(methods, WeightSharing::Disabled)->size(), 3u);
}

TEST(MergeFunctions, OnePackageTakesAllPartitionsHoweverMany) {
  auto methods = two_methods();
  methods[1].partitions.pop_back();
  const auto packages = merge_functions(methods, WeightSharing::OnePackage);
  ASSERT_OK(packages);
  ASSERT_EQ(packages->size(), 1u);
  const Package& package = packages->front();
  EXPECT_THAT(function_names(package), ElementsAre("forward__0", "forward__1", "prefill__0"));
  ASSERT_EQ(package.members.size(), 3u);
  EXPECT_EQ(package.members[2].method, 1u);
  EXPECT_EQ(package.members[2].partition, 0u);
  EXPECT_TRUE(mil::verify(package.program).has_value());
  EXPECT_EQ(count_constant_bytes(package.program).unique, 2112u + 64);
}

TEST(MergeFunctions, OnePackageOfOneMethodHasItsPartitions) {
  auto methods = two_methods();
  methods.pop_back();
  const auto packages = merge_functions(methods, WeightSharing::OnePackage);
  ASSERT_OK(packages);
  ASSERT_EQ(packages->size(), 1u);
  EXPECT_THAT(function_names(packages->front()), ElementsAre("forward__0", "forward__1"));
}

TEST(MergeFunctions, OnePackageOfWholeMethodsIsThePositionalOne) {
  auto methods = two_methods();
  for (CutMethod& method : methods) method.partitions.pop_back();
  const auto packages = merge_functions(methods, WeightSharing::OnePackage);
  ASSERT_OK(packages);
  ASSERT_EQ(packages->size(), 1u);
  EXPECT_THAT(function_names(packages->front()), ElementsAre("forward", "prefill"));
}

TEST(MergeFunctions, MethodsNeedDifferentNames) {
  auto methods = two_methods();
  methods[1].name = "forward";
  const auto packages = merge_functions(methods, WeightSharing::Positional);
  ASSERT_FALSE(packages.has_value());
  EXPECT_EQ(packages.error().to_string(), "two methods are named 'forward'");
}

}  // namespace
}  // namespace diptych::passes
