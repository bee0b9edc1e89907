#include "mil/builder.h"

#include <gtest/gtest.h>

#include "testing/shared_data.h"

namespace diptych::mil {
namespace {

Builder make_builder() { return Builder(std::make_unique<Function>("f")); }

TEST(Builder, InfersTypesAndNamesConstantsAfterTheirUse) {
  Builder b = make_builder();
  Value* x = b.input("x", {DType::F16, {1, 32, 64}});
  Value* mean = b.reduce_mean(b.mul(x, x), {-1}, true);
  Value* second = b.reduce_mean(mean, {0}, true);
  EXPECT_EQ(to_string(mean->type), "fp16[1,32,1]");
  EXPECT_EQ(mean->name, "reduce_mean");
  EXPECT_EQ(second->name, "reduce_mean_1");
  EXPECT_EQ(second->producer->operand("axes")->name, "reduce_mean_1_axes_0");

  const auto function = b.finish({second});
  ASSERT_OK(function);
  EXPECT_EQ((*function)->ops.size(), 3u);
  EXPECT_EQ((*function)->outputs, std::vector<Value*>{second});
}

TEST(Builder, KeepsTheFirstError) {
  Builder b = make_builder();
  Value* x = b.input("x", {DType::F16, {1, 32, 64}});
  EXPECT_TRUE(b.ok());
  Value* bad = b.op("reshape", {{"x", {x}}, {"shape", {b.ints({7, -1})}}}, "regroup");
  EXPECT_FALSE(b.ok());
  Value* after = b.transpose(bad, {5});
  EXPECT_EQ(b.graph_break({after, x}).size(), 2u);
  const auto function = b.finish({after});
  ASSERT_FALSE(function.has_value());
  EXPECT_EQ(function.error().to_string(),
            "f: regroup: reshape: cannot reshape fp16[1,32,64] to [7,-1]");
}

TEST(Builder, GraphBreakHandsItsValuesThrough) {
  Builder b = make_builder();
  Value* x = b.input("x", {DType::F16, {1, 4}});
  Value* n = b.input("n", {DType::Int32, {}});
  const auto through = b.graph_break({x, n});
  ASSERT_EQ(through.size(), 2u);
  EXPECT_EQ(through[0]->type, x->type);
  EXPECT_EQ(through[1]->type, n->type);
  EXPECT_EQ(through[0]->name, "graph_break");
  ASSERT_OK(b.finish(through));
}

TEST(Builder, RefusesOutputsOfAnotherFunction) {
  Builder other = make_builder();
  Value* stranger = other.input("x", {DType::F16, {1}});
  Builder b = make_builder();
  b.input("y", {DType::F16, {1}});
  EXPECT_FALSE(b.finish({stranger}).has_value());
}

}  // namespace
}  // namespace diptych::mil
