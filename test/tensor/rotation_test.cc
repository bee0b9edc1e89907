#include "tensor/rotation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace diptych {
namespace {

// R(n), row by row.
std::vector<float> matrix_of(size_t n) {
  std::vector<float> matrix(n * n, 0.0f);
  for (size_t i = 0; i < n; ++i) matrix[i * n + i] = 1;
  Rotation(n).rotate_rows(matrix.data(), n);
  return matrix;
}

// diag(R, R, ...) with blocks of R(block), or one without a block.
std::vector<double> blocks_of(size_t size, size_t block) {
  std::vector<double> matrix(size * size, 0.0);
  const std::vector<float> r = matrix_of(block == 0 ? 1 : block);
  const size_t step = block == 0 ? 1 : block;
  for (size_t i = 0; i < size; ++i) {
    for (size_t j = i / step * step; j < (i / step + 1) * step; ++j) {
      matrix[i * size + j] = static_cast<double>(r[i % step * step + j % step]);
    }
  }
  return matrix;
}

std::vector<double> product(const std::vector<double>& a, const std::vector<double>& b,
                            size_t inner) {
  const size_t rows = a.size() / inner, columns = b.size() / inner;
  std::vector<double> result(rows * columns, 0.0);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t k = 0; k < inner; ++k) {
      for (size_t j = 0; j < columns; ++j) {
        result[i * columns + j] += a[i * inner + k] * b[k * columns + j];
      }
    }
  }
  return result;
}

TEST(Rotation, IsSymmetricAndItsOwnInverse) {
  for (const size_t n : {1, 2, 3, 8, 15, 24, 64, 100, 576}) {
    const std::vector<float> r = matrix_of(n);
    const std::vector<double> wide(r.begin(), r.end());
    const std::vector<double> square = product(wide, wide, n);
    float largest = 0;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        ASSERT_NEAR(r[i * n + j], r[j * n + i], 1e-6) << n;
        ASSERT_NEAR(square[i * n + j], i == j ? 1 : 0, 2e-6) << n;
        largest = std::max(largest, std::abs(r[i * n + j]));
      }
    }
    EXPECT_LE(largest, std::sqrt(2.0 / static_cast<double>(n)) + 1e-6) << "all channels count";
  }
}

TEST(Rotation, OddPartsAreTheirs) {
  EXPECT_EQ(odd_part(576), 9);
  EXPECT_EQ(odd_part(2048), 1);
  EXPECT_EQ(odd_part(7), 7);
}

struct Case {
  Shape shape;
  RotationBlocks blocks;
};

class RotatedWeight : public ::testing::TestWithParam<Case> {};

TEST_P(RotatedWeight, ReadsTheSameInAnyParts) {
  const auto& [shape, blocks] = GetParam();
  const WeightRef source = random_weight({DType::F16, shape}, 5);
  const WeightRef weight = rotated(source, blocks, new_rotation_memory());
  ASSERT_EQ(weight->type(), (TensorType{DType::F32, shape}));
  const auto rows = static_cast<size_t>(weight->rows()), columns = weight->row_elements();
  const std::vector<float> values = read_floats(*source).value();
  const std::vector<double> expected =
      product(product(blocks_of(rows, static_cast<size_t>(blocks.rows)),
                      {values.begin(), values.end()}, rows),
              blocks_of(columns, static_cast<size_t>(blocks.columns)), columns);
  const std::vector<float> whole = read_floats(*weight).value();
  ASSERT_EQ(whole.size(), expected.size());
  for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(whole[i], expected[i], 1e-5) << i;
  // To the bit.
  for (const int64_t part : {1, 7, 64, 100}) {
    std::vector<float> read;
    for (int64_t first = 0; first < weight->rows(); first += part) {
      const auto some = read_floats(*weight, first, std::min(part, weight->rows() - first)).value();
      read.insert(read.end(), some.begin(), some.end());
    }
    EXPECT_EQ(read, whole) << "in parts of " << part;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RotatedWeight,
                         ::testing::Values(Case{{130, 48}, {0, 48}},  // columns
                                           Case{{130, 48}, {0, 16}},  // columns by head
                                           Case{{48, 130}, {48, 0}},  // rows
                                           Case{{48, 130}, {12, 0}},  // rows by head
                                           Case{{72, 96}, {72, 24}},  // both
                                           Case{{96, 72}, {32, 72}},  // both
                                           Case{{576}, {576, 0}}));   // a bias

TEST(RotatedWeights, TakeTurnsInOneMemory) {
  const auto memory = new_rotation_memory();
  const WeightRef source = random_weight({DType::F32, {8, 4}}, 1);
  const WeightRef other = random_weight({DType::F32, {8, 4}}, 2);
  const WeightRef a = rotated(source, {8, 0}, memory), b = rotated(other, {8, 0}, memory);
  const auto of_a = read_floats(*rotated(source, {8, 0}, new_rotation_memory())).value();
  const auto of_b = read_floats(*rotated(other, {8, 0}, new_rotation_memory())).value();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(read_floats(*a).value(), of_a);
    EXPECT_EQ(read_floats(*b).value(), of_b);
  }
  // Twice is not at all.
  const auto back = read_floats(*rotated(a, {8, 0}, new_rotation_memory())).value();
  const auto values = read_floats(*source).value();
  for (size_t i = 0; i < back.size(); ++i) EXPECT_NEAR(back[i], values[i], 1e-6);
}

TEST(RotatedWeights, AreKnownByWhatIsRotated) {
  const auto digest_of = [](int seed, RotationBlocks blocks) {
    DigestCache cache;
    const WeightRef source = random_weight({DType::F32, {8, 8}}, static_cast<uint64_t>(seed));
    return rotated(source, blocks, new_rotation_memory())->digest(cache);
  };
  EXPECT_EQ(digest_of(1, {8, 0}), digest_of(1, {8, 0}));
  EXPECT_NE(digest_of(1, {8, 0}), digest_of(1, {0, 8}));
  EXPECT_NE(digest_of(1, {8, 0}), digest_of(1, {4, 0}));
  EXPECT_NE(digest_of(1, {8, 0}), digest_of(2, {8, 0}));
}

}  // namespace
}  // namespace diptych
