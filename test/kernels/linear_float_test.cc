#include <cmath>
#include <limits>

#include "kernels/linear.h"
#include "kernels_test_util.h"

namespace diptych::kernels {
namespace {

class LinearFloat : public ForEachIsa {};
DIPTYCH_FOR_EACH_ISA(LinearFloat);

constexpr DType kTypes[] = {DType::F16, DType::BF16, DType::F32};

std::vector<std::byte> random_weight(DType dtype, int64_t rows, int64_t columns) {
  return encode(random_floats(static_cast<size_t>(rows * columns), 21, 0.1f), dtype);
}

std::vector<float> run(Isa isa, const FloatWeight& weight, const std::vector<float>& x,
                       int64_t m_rows) {
  std::vector<float> y(static_cast<size_t>(m_rows * weight.rows), std::nanf(""));
  linear_float(isa, weight, x.data(), weight.columns, m_rows, 0, weight.rows, y.data(),
               weight.rows);
  return y;
}

TEST_P(LinearFloat, AgreesWithDoublesForAllShapes) {
  for (const DType dtype : kTypes) {
    for (const int64_t columns : {1, 7, 8, 15, 16, 17, 31, 64, 100, 172, 2048}) {
      for (const int64_t rows : {1, 2, 3, 4, 5, 9}) {
        const auto bytes = random_weight(dtype, rows, columns);
        for (const int64_t m_rows : {1, 2, 3, 4, 5, 6, 7, 9, 33}) {
          const auto x = random_floats(static_cast<size_t>(m_rows * columns), 22);
          const auto y = run(GetParam(), {bytes.data(), dtype, rows, columns}, x, m_rows);
          for (int64_t m = 0; m < m_rows; ++m) {
            for (int64_t row = 0; row < rows; ++row) {
              double sum = 0, magnitudes = 0;
              for (int64_t i = 0; i < columns; ++i) {
                const double term = decode(bytes, dtype, static_cast<size_t>(row * columns + i)) *
                                    x[static_cast<size_t>(m * columns + i)];
                sum += term;
                magnitudes += std::abs(term);
              }
              ASSERT_NEAR(y[static_cast<size_t>(m * rows + row)], sum,
                          static_cast<double>(columns + 8) * 0x1p-24 * magnitudes);
            }
          }
        }
      }
    }
  }
}

// Every finite bit pattern, subnormals included, counts for what it is.
TEST_P(LinearFloat, ConvertsEveryHalfExactly) {
  for (const DType dtype : {DType::F16, DType::BF16}) {
    std::vector<std::byte> bytes(2 * 65536);
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      store(&bytes[2 * bits], static_cast<uint16_t>(bits));
    }
    std::vector<float> y(65536);
    const float one = 1;
    linear_float(GetParam(), {bytes.data(), dtype, 65536, 1}, &one, 1, 1, 0, 65536, y.data(),
                 65536);
    for (size_t bits = 0; bits < y.size(); ++bits) {
      const double want = decode(bytes, dtype, bits);
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(y[bits]));
      } else {
        EXPECT_EQ(y[bits], want);
      }
    }
  }
}

TEST_P(LinearFloat, ReadsNothingButTheWeightAtAnyAddress) {
  for (const DType dtype : kTypes) {
    for (const int64_t columns : {1, 5, 16, 23, 33, 64}) {
      for (const int64_t rows : {1, 2, 3, 4, 7}) {
        const auto bytes = random_weight(dtype, rows, columns);
        for (const int64_t m_rows : {1, 3, 8}) {
          // The activations end at the border, too.
          const auto x = random_floats(static_cast<size_t>(m_rows * columns), 23);
          const auto want = run(GetParam(), {bytes.data(), dtype, rows, columns}, x, m_rows);
          const GuardedBytes guarded(bytes), guarded_x(encode(x, DType::F32));
          const MisalignedBytes odd(bytes);
          for (const std::byte* data : {guarded.data(), odd.data()}) {
            std::vector<float> y(want.size());
            linear_float(GetParam(), {data, dtype, rows, columns},
                         reinterpret_cast<const float*>(guarded_x.data()), columns, m_rows, 0, rows,
                         y.data(), rows);
            EXPECT_EQ(0, std::memcmp(y.data(), want.data(), y.size() * 4));
          }
        }
      }
    }
  }
}

TEST_P(LinearFloat, NonFiniteWeightsStayInTheirRow) {
  for (const int64_t columns : {5, 20, 64}) {
    for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
      auto values = random_floats(static_cast<size_t>(6 * columns), 24);
      values[static_cast<size_t>(3 * columns)] = bad;
      const auto bytes = encode(values, DType::F16);
      const auto x = random_floats(static_cast<size_t>(2 * columns), 25);
      const auto y = run(GetParam(), {bytes.data(), DType::F16, 6, columns}, x, 2);
      for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isfinite(y[i]), i % 6 != 3);
    }
  }
}

// More columns, rows of the weight and rows of x than are worked off at once.
TEST_P(LinearFloat, PartsPanelsAndSlabsDoNotShow) {
  const int64_t columns = 4100, rows = 27, m_rows = 129;
  const auto bytes = random_weight(DType::F16, rows, columns);
  const FloatWeight weight{bytes.data(), DType::F16, rows, columns};
  const auto x = random_floats(static_cast<size_t>(m_rows * columns), 27);
  const auto together = run(GetParam(), weight, x, m_rows);
  for (int64_t m = 0; m < m_rows; ++m) {
    const std::vector<float> row(x.begin() + m * columns, x.begin() + (m + 1) * columns);
    const auto alone = run(GetParam(), weight, row, 1);
    ASSERT_EQ(0, std::memcmp(alone.data(), together.data() + m * rows, alone.size() * 4)) << m;
  }
}

TEST_P(LinearFloat, ResultsDependOnTheirRowsAlone) {
  for (const DType dtype : kTypes) {
    for (const int64_t columns : {40, 513}) {
      const int64_t rows = 11, m_rows = 19;
      const auto bytes = random_weight(dtype, rows, columns);
      const FloatWeight weight{bytes.data(), dtype, rows, columns};
      const auto x = random_floats(static_cast<size_t>(m_rows * columns), 26);
      const auto want = run(GetParam(), weight, x, m_rows);
      for (const int64_t some : {1, 2, 3, 4, 5, 6, 7, 8, 9}) {
        for (const int64_t step : {1, 2, 3, 4, 5, 11}) {
          const int64_t stride = rows + 1;
          std::vector<float> y(static_cast<size_t>(m_rows * stride), 42.0f);
          for (int64_t m = 0; m < m_rows; m += some) {
            for (int64_t r = 0; r < rows; r += step) {
              linear_float(GetParam(), weight, x.data() + m * columns, columns,
                           std::min(some, m_rows - m), r, std::min(r + step, rows),
                           y.data() + m * stride, stride);
            }
          }
          for (int64_t m = 0; m < m_rows; ++m) {
            const float* row = y.data() + m * stride;
            EXPECT_EQ(0, std::memcmp(row, want.data() + m * rows, static_cast<size_t>(rows) * 4));
            EXPECT_EQ(row[rows], 42.0f);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace diptych::kernels
