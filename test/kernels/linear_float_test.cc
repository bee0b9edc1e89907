#include <cmath>
#include <limits>

#include "kernels/bf16.h"
#include "kernels/linear.h"
#include "kernels_test_util.h"

namespace diptych::kernels {
namespace {

// linear_float(), or linear_bf16() after round_to_bf16().
struct Arithmetic {
  Isa isa;
  bool in_bf16;

  // What a number counts for.
  double seen(double value) const {
    if (!in_bf16) return value;
    if (std::abs(value) < 0x1p-126) return 0;
    return bfloat16_to_float(float_to_bfloat16(static_cast<float>(value)));
  }

  std::vector<DType> types() const {
    if (in_bf16) return {DType::F16, DType::BF16};
    return {DType::F16, DType::BF16, DType::F32};
  }

  // Rows [first, last) of the weight.
  void multiply(const FloatWeight& weight, const float* x, int64_t m_rows, int64_t first,
                int64_t last, float* y, int64_t stride) const {
    const int64_t columns = weight.columns;
    if (!in_bf16) return linear_float(isa, weight, x, columns, m_rows, first, last, y, stride);
    AlignedBytes rounded(bf16_bytes(m_rows, columns));
    const int64_t half = m_rows / 2;  // as two threads may do it
    round_to_bf16(isa, x, columns, columns, m_rows, half, m_rows, rounded.data());
    round_to_bf16(isa, x, columns, columns, m_rows, 0, half, rounded.data());
    linear_bf16(isa, weight, {rounded.data(), m_rows, columns}, first, last, y, stride);
  }
};

std::vector<Arithmetic> all_arithmetic() {
  std::vector<Arithmetic> all;
  for (const Isa isa : all_isas()) all.push_back({isa, false});
  for (const Isa isa : all_isas()) {
    if (has_bf16(isa)) all.push_back({isa, true});
  }
  return all;
}

class LinearFloat : public testing::TestWithParam<Arithmetic> {
 protected:
  void SetUp() override {
    const auto isa = isa_from_name(name(GetParam().isa));
    if (!isa) GTEST_SKIP() << isa.error().to_string();
  }
};
INSTANTIATE_TEST_SUITE_P(, LinearFloat, testing::ValuesIn(all_arithmetic()), [](const auto& test) {
  return std::string(name(test.param.isa)) + (test.param.in_bf16 ? "_in_bf16" : "");
});

std::vector<std::byte> random_weight(DType dtype, int64_t rows, int64_t columns) {
  return encode(random_floats(static_cast<size_t>(rows * columns), 21, 0.1f), dtype);
}

std::vector<float> run(const Arithmetic& arithmetic, const FloatWeight& weight,
                       const std::vector<float>& x, int64_t m_rows) {
  std::vector<float> y(static_cast<size_t>(m_rows * weight.rows), std::nanf(""));
  arithmetic.multiply(weight, x.data(), m_rows, 0, weight.rows, y.data(), weight.rows);
  return y;
}

TEST_P(LinearFloat, AgreesWithDoublesForAllShapes) {
  for (const DType dtype : GetParam().types()) {
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
                const auto index = static_cast<size_t>(row * columns + i);
                const double term = GetParam().seen(decode(bytes, dtype, index)) *
                                    GetParam().seen(x[static_cast<size_t>(m * columns + i)]);
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

// Every bit pattern of a weight, subnormals included, counts for what it is or is rounded to.
TEST_P(LinearFloat, ConvertsEveryHalf) {
  for (const DType dtype : {DType::F16, DType::BF16}) {
    std::vector<std::byte> bytes(2 * 65536);
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      store(&bytes[2 * bits], static_cast<uint16_t>(bits));
    }
    std::vector<float> y(65536);
    const float one = 1;
    GetParam().multiply({bytes.data(), dtype, 65536, 1}, &one, 1, 0, 65536, y.data(), 65536);
    for (size_t bits = 0; bits < y.size(); ++bits) {
      const double want = GetParam().seen(decode(bytes, dtype, bits));
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(y[bits]));
      } else {
        EXPECT_EQ(y[bits], want);
      }
    }
  }
}

// As every weight is: those of x, here around ties, at the ends of the range and beyond.
TEST_P(LinearFloat, ConvertsActivations) {
  std::vector<float> x;
  for (uint32_t high = 0; high < 65536; high += 5) {
    for (const uint32_t low : {0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      x.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  const auto count = static_cast<int64_t>(x.size());
  const auto one = encode({1}, DType::F16);
  const auto y = run(GetParam(), {one.data(), DType::F16, 1, 1}, x, count);
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = GetParam().seen(x[i]);
    if (std::isnan(want)) {
      EXPECT_TRUE(std::isnan(y[i]));
    } else {
      EXPECT_EQ(y[i], want) << x[i];
    }
  }
}

TEST_P(LinearFloat, ReadsNothingButTheWeightAtAnyAddress) {
  for (const DType dtype : GetParam().types()) {
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
            GetParam().multiply({data, dtype, rows, columns},
                                reinterpret_cast<const float*>(guarded_x.data()), m_rows, 0, rows,
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
  for (const DType dtype : GetParam().types()) {
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
              GetParam().multiply(weight, x.data() + m * columns, std::min(some, m_rows - m), r,
                                  std::min(r + step, rows), y.data() + m * stride, stride);
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
