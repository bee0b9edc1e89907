#include "tensor/affine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diptych {
namespace {

TEST(Affine, RoundsOnceAndKeepsTheShape) {
  const WeightRef source = constant_floats(DType::BF16, {2, 2}, {0.25, -1, 3, 0});
  const WeightRef moved = affine(source, 0.5, 1);
  EXPECT_EQ(moved->type(), (TensorType{DType::F32, {2, 2}}));
  EXPECT_THAT(read_floats(*moved).value(), ::testing::ElementsAre(1.125f, 0.5f, 2.5f, 1.0f));
  EXPECT_THAT(read_floats(*moved, 1, 1).value(), ::testing::ElementsAre(2.5f, 1.0f));
}

TEST(Affine, IsKnownByItsResults) {
  DigestCache cache;
  const WeightRef whole = constant_floats(DType::F32, {2}, {1.5, 0.75});
  const WeightRef less = constant_floats(DType::BF16, {2}, {0.5, -0.25});
  EXPECT_EQ(affine(less, 1, 1)->digest(cache), whole->digest(cache));
}

}  // namespace
}  // namespace diptych
