#include "quant/matrix_product.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace diptych::quant {
namespace {

std::vector<float> numbers(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> bell;
  std::vector<float> result(count);
  for (float& x : result) x = bell(random);
  return result;
}

struct Size {
  size_t rows, columns, depth;
};
constexpr Size kSizes[] = {{1, 1, 1},      {6, 16, 4},    {7, 33, 5},
                           {95, 255, 257}, {97, 257, 3},  {130, 300, 70},
                           {200, 1, 513},  {1, 270, 300}, {800, 2100, 3}};

// Against sums in double precision, for matrices read along and across.
TEST(MatrixProduct, AddsTheProduct) {
  ThreadPool pool(2);
  for (const auto& [rows, columns, depth] : kSizes) {
    const std::vector<float> a = numbers(rows * depth, 1), b = numbers(depth * columns, 2);
    const std::vector<float> before = numbers(rows * columns, 3);
    for (const bool across : {false, true}) {
      // Across: the same memory as the transposed matrix of the other shape.
      const MatrixView left = across ? MatrixView{a.data(), 1, rows} : MatrixView{a.data(), depth};
      const MatrixView right =
          across ? MatrixView{b.data(), depth}.transposed() : MatrixView{b.data(), columns};
      std::vector<float> sums = before;
      add_product(left, right, depth, -0.5f, {sums.data(), columns, rows, columns}, pool);
      for (size_t i = 0; i < rows; ++i) {
        for (size_t j = 0; j < columns; ++j) {
          double expected = static_cast<double>(before[i * columns + j]);
          for (size_t k = 0; k < depth; ++k) {
            expected -=
                0.5 * static_cast<double>(left.data[i * left.row_stride + k * left.column_stride]) *
                static_cast<double>(right.data[k * right.row_stride + j * right.column_stride]);
          }
          ASSERT_NEAR(static_cast<double>(sums[i * columns + j]), expected, 1e-3)
              << rows << " " << columns << " " << depth << ": " << i << ", " << j;
        }
      }
    }
  }
}

TEST(MatrixProduct, BitsDependOnNeitherThreadsNorCompany) {
  constexpr size_t kRows = 120, kColumns = 290, kDepth = 600;
  const std::vector<float> a = numbers(kRows * kDepth, 1), b = numbers(kDepth * kColumns, 2);
  const auto product = [&](size_t first, size_t rows, size_t from, size_t columns, int threads) {
    ThreadPool pool(threads);
    std::vector<float> sums(rows * columns);
    add_product({a.data() + first * kDepth, kDepth}, {b.data() + from, kColumns}, kDepth, 1,
                {sums.data(), columns, rows, columns}, pool);
    return sums;
  };
  const std::vector<float> whole = product(0, kRows, 0, kColumns, 1);
  EXPECT_EQ(product(0, kRows, 0, kColumns, 3), whole);
  const std::vector<float> part = product(11, 30, 257, 9, 2);
  for (size_t i = 0; i < 30; ++i) {
    for (size_t j = 0; j < 9; ++j) {
      ASSERT_EQ(part[i * 9 + j], whole[(11 + i) * kColumns + 257 + j]);
    }
  }
}

TEST(MatrixProduct, LeavesOutWhatIsNotWanted) {
  constexpr size_t kSize = 700, kDepth = 9;
  ThreadPool pool(2);
  const std::vector<float> a = numbers(kDepth * kSize, 4);
  const MatrixView rows{a.data(), kSize};
  std::vector<float> all(kSize * kSize), upper(kSize * kSize);
  add_product(rows.transposed(), rows, kDepth, 1, {all.data(), kSize, kSize, kSize}, pool);
  add_product(rows.transposed(), rows, kDepth, 1, {upper.data(), kSize, kSize, kSize}, pool,
              Wanted::Upper);
  for (size_t i = 0; i < kSize; ++i) {
    for (size_t j = i; j < kSize; ++j) ASSERT_EQ(upper[i * kSize + j], all[i * kSize + j]);
  }
  EXPECT_EQ(upper[(kSize - 1) * kSize], 0);  // far below: nothing was computed
}

}  // namespace
}  // namespace diptych::quant
