#include "tensor/diagonal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace diptych {
namespace {

using ::testing::ElementsAre;

TEST(Diagonal, MultipliesColumns) {
  const WeightRef matrix = constant_floats(DType::F16, {2, 3}, {1, 2, 3, 4, 5, 6});
  const WeightRef gains = constant_floats(DType::BF16, {3}, {2, 0.5, -1});
  const WeightRef product = times_diagonal(matrix, gains);
  EXPECT_EQ(product->type(), (TensorType{DType::F32, {2, 3}}));
  EXPECT_THAT(read_floats(*product).value(), ElementsAre(2, 1, -3, 8, 2.5, -6));
  EXPECT_THAT(read_floats(*product, 1, 1).value(), ElementsAre(8, 2.5, -6));
}

TEST(Diagonal, IsAMatrix) {
  const WeightRef matrix = diagonal_matrix(constant_floats(DType::F16, {3}, {2, 0.5, -1}));
  EXPECT_EQ(matrix->type(), (TensorType{DType::F32, {3, 3}}));
  EXPECT_THAT(read_floats(*matrix).value(), ElementsAre(2, 0, 0, 0, 0.5, 0, 0, 0, -1));
  EXPECT_THAT(read_floats(*matrix, 1, 1).value(), ElementsAre(0, 0.5, 0));
}

TEST(Diagonal, IsKnownByBothFactors) {
  const auto digest_of = [](double element, double gain) {
    DigestCache cache;
    return times_diagonal(constant_floats(DType::F32, {1, 1}, {element}),
                          constant_floats(DType::F32, {1}, {gain}))
        ->digest(cache);
  };
  EXPECT_EQ(digest_of(1, 2), digest_of(1, 2));
  EXPECT_NE(digest_of(1, 2), digest_of(2, 2));
  EXPECT_NE(digest_of(1, 2), digest_of(1, 3));
}

}  // namespace
}  // namespace diptych
