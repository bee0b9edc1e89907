#include "passes/sharing.h"

#include <gmock/gmock.h>

#include "pass_testing.h"

namespace diptych::passes {
namespace {

using ::testing::ElementsAre;

// A program of functions that each use some of a few weights, by number.
mil::Program program_of(const std::vector<std::vector<int>>& uses) {
  static const std::vector<WeightRef> weights = {
      constant_floats(DType::F16, {16}, std::vector<double>(16, 1)),
      constant_floats(DType::F16, {32}, std::vector<double>(32, 2)),
      constant_ints(DType::Int32, {16}, std::vector<int64_t>(16, 3)),
      constant_floats(DType::F16, {4}, {1, 2, 3, 4})};
  mil::Program program;
  for (size_t f = 0; f < uses.size(); ++f) {
    auto function = std::make_unique<mil::Function>(fmt::format("f{}", f));
    for (const int weight : uses[f]) {
      function->add_constant(fmt::format("w{}", weight), weights[static_cast<size_t>(weight)]);
    }
    program.functions.push_back(std::move(function));
  }
  return program;
}

bool unshared(const std::vector<std::vector<size_t>>& methods_of_functions,
              const std::vector<std::string_view>& adapters) {
  const mil::Program program =
      program_of(std::vector<std::vector<int>>(methods_of_functions.size(), std::vector<int>{0}));
  const UsedPackage package{&program, methods_of_functions};
  return stored_weights({&package, 1}, adapters).front().unshared;
}

TEST(Sharing, WeightsWithTheirUsers) {
  const mil::Program one = program_of({{0, 1}, {0}}), two = program_of({{1}});
  const std::vector<UsedPackage> packages = {{&one, {{0}, {1}}}, {&two, {{1}}}};
  const auto weights = stored_weights(packages, std::vector<std::string_view>(2));
  ASSERT_EQ(weights.size(), 3u);
  EXPECT_EQ(weights[0].name, "w0");
  EXPECT_EQ(weights[0].bytes, 32u);
  EXPECT_THAT(weights[0].functions, ElementsAre(0u, 1u));
  EXPECT_THAT(weights[0].methods, ElementsAre(0u, 1u));
  EXPECT_FALSE(weights[0].unshared);
  EXPECT_THAT(weights[1].methods, ElementsAre(0u));
  EXPECT_TRUE(weights[1].unshared);
  // Packages share nothing with one another.
  EXPECT_EQ(weights[2].package, 1u);
  EXPECT_THAT(weights[2].methods, ElementsAre(1u));
  EXPECT_TRUE(weights[2].unshared);
}

TEST(Sharing, IndicesAndScalarsAreNoWeights) {
  const mil::Program program = program_of({{2, 3}, {}});
  const UsedPackage package{&program, {{0}, {1}}};
  EXPECT_TRUE(stored_weights({&package, 1}, std::vector<std::string_view>(2)).empty());
}

TEST(Sharing, AllMethodsOrAllOfAnAdapter) {
  const std::vector<std::string_view> plain = {"", ""};
  EXPECT_FALSE(unshared({{0}, {1}}, plain));
  EXPECT_TRUE(unshared({{1}}, plain));
  EXPECT_TRUE(unshared({{}}, plain));  // nobody uses it
  EXPECT_FALSE(unshared({{0}}, {""}));
  // Of all partitions in one package not every function uses a weight.
  const mil::Program program = program_of({{0}, {1}, {0}, {1}});
  const UsedPackage package{&program, {{0}, {0}, {1}, {1}}};
  for (const StoredWeight& weight : stored_weights({&package, 1}, plain)) {
    EXPECT_FALSE(weight.unshared) << weight.name;
  }
  const std::vector<std::string_view> adapted = {"", "", "one", "one", "two"};
  EXPECT_FALSE(unshared({{2}, {3}}, adapted));
  EXPECT_FALSE(unshared({{2}, {3}, {4}}, adapted));
  EXPECT_FALSE(unshared({{4}}, adapted));
  EXPECT_TRUE(unshared({{2}}, adapted));
  EXPECT_TRUE(unshared({{0}, {1}}, adapted));
  EXPECT_TRUE(unshared({{0}, {2}, {3}}, adapted));
}

}  // namespace
}  // namespace diptych::passes
