#include "kernels/activations.h"

#include <cmath>
#include <limits>

#include "kernels_test_util.h"

namespace diptych::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class Activations : public ForEachIsa {};
DIPTYCH_FOR_EACH_ISA(Activations);

TEST_P(Activations, ErrorIsAtMostHalfAStep) {
  for (const DType weights : {DType::Int4, DType::Int8}) {
    for (const int64_t columns : {1, 31, 32, 64, 96, 160, 172, 256, 257, 288, 768}) {
      const int64_t rows = 3;
      const auto x = random_floats(static_cast<size_t>(rows * columns), 1, 3);
      const Quantized q(GetParam(), x, rows, columns, weights);
      for (int64_t m = 0; m < rows; ++m) {
        for (int64_t i = 0; i < columns; ++i) {
          const float scale = q.scale(m, i), value = x[static_cast<size_t>(m * columns + i)];
          EXPECT_LE(std::abs(value - q.number(m, i)), 0.5 * scale * (1 + 1e-5));
          EXPECT_LE(std::abs(q.value(m, i)), 127);
        }
      }
    }
  }
}

TEST_P(Activations, LargestValueIs127AndTiesGoToEven) {
  std::vector<float> x(32, 80.0f);  // so that the largest are no outliers
  x[0] = -127, x[1] = 0.5f, x[2] = 1.5f, x[3] = -2.5f, x[31] = 126.49f;
  for (const DType weights : {DType::Int4, DType::Int8}) {
    const Quantized q(GetParam(), x, 1, 32, weights);
    EXPECT_EQ(q.scale(0, 0), 1.0f);
    EXPECT_EQ(q.value(0, 0), -127);
    EXPECT_EQ(q.value(0, 1), 0);
    EXPECT_EQ(q.value(0, 2), 2);
    EXPECT_EQ(q.value(0, 3), -2);
    EXPECT_EQ(q.value(0, 31), 126);
  }
}

TEST_P(Activations, ExtremesKeepTheBound) {
  constexpr float kMax = std::numeric_limits<float>::max();
  for (const float largest : {kMax, 127 * 0x1p-126f, 1e-30f, 1e30f}) {
    auto x = random_floats(64, 2);
    for (float& value : x) value = std::fmin(std::fmax(value, -1.0f), 1.0f) * largest;
    x[5] = largest, x[40] = -largest;
    const Quantized q(GetParam(), x, 1, 64, DType::Int4);
    for (int64_t i = 0; i < 64; ++i) {
      const double scale = q.scale(0, i);
      EXPECT_GT(scale, 0);
      EXPECT_LE(std::abs(x[static_cast<size_t>(i)] - q.value(0, i) * scale),
                0.5 * scale * (1 + 1e-5));
    }
    EXPECT_EQ(q.value(0, 5), 127);
    EXPECT_EQ(q.value(0, 40), -127);
  }
}

TEST_P(Activations, ZerosAndSubnormalScalesGiveZeros) {
  for (const float value : {0.0f, -0.0f, 1e-45f, 1e-39f, 126 * 0x1p-126f}) {
    const Quantized q(GetParam(), std::vector<float>(32, value), 1, 32, DType::Int8);
    EXPECT_EQ(q.scale(0, 0), 0.0f);
    for (int64_t i = 0; i < 32; ++i) EXPECT_EQ(q.value(0, i), 0);
  }
}

TEST_P(Activations, NonFiniteBlocksHaveScaleNan) {
  for (const float bad : {kInfinity, -kInfinity, kNan, -kNan}) {
    auto x = random_floats(96, 3);
    x[37] = bad;
    const Quantized q(GetParam(), x, 1, 96, DType::Int4);
    EXPECT_FALSE(std::isnan(q.scale(0, 0)));
    EXPECT_TRUE(std::isnan(q.scale(0, 32)));
    EXPECT_FALSE(std::isnan(q.scale(0, 64)));
    for (int64_t i = 32; i < 64; ++i) EXPECT_EQ(q.value(0, i), 0);
  }
}

TEST_P(Activations, ValuesAndScalesAreThoseOfScalar) {
  auto x = random_floats(18 * 416, 5);
  x[500] = kNan;
  std::fill_n(x.begin() + 64, 32, 0.0f);
  for (const DType weights : {DType::Int4, DType::Int8}) {
    const Quantized got(GetParam(), x, 18, 416, weights), want(Isa::Scalar, x, 18, 416, weights);
    EXPECT_EQ(got.values(), want.values());
    for (size_t i = 0; i < got.scales().size(); ++i) {
      const float a = got.scales()[i], b = want.scales()[i];
      EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << i;
    }
  }
}

TEST_P(Activations, RowsAreIndependentAndStrided) {
  const int64_t rows = 21, columns = 96, stride = 101;
  const auto x = random_floats(static_cast<size_t>(rows * stride), 6);
  const size_t bytes = quantized_bytes(GetParam(), rows, columns);
  AlignedBytes whole(bytes), parts(bytes);
  const auto run = [&](int64_t first, int64_t last, AlignedBytes& out) {
    quantize(GetParam(), x.data(), stride, columns, DType::Int4, rows, first, last, out.data());
  };
  run(0, rows, whole);
  run(3, 17, parts);
  run(0, 1, parts);
  run(17, 21, parts);
  run(1, 3, parts);
  EXPECT_EQ(0, std::memcmp(whole.data(), parts.data(), bytes));
}

}  // namespace
}  // namespace diptych::kernels
