#include "kernels/linear.h"

#include <cmath>
#include <limits>

#include "kernels_test_util.h"

namespace diptych::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNotANumber = std::numeric_limits<float>::quiet_NaN();

class Linear : public ForEachIsa {};
DIPTYCH_FOR_EACH_ISA(Linear);

std::vector<float> run(Isa isa, const LinearWeight& weight, const QuantizedActivations& x) {
  std::vector<float> y(static_cast<size_t>(x.rows * weight.rows), kNotANumber);
  linear(isa, weight, x, 0, weight.rows, y.data(), weight.rows);
  return y;
}

// Compares with sums in double precision of the same quantised values; what fp32 may lose is
// proportional to the sum of magnitudes.
void expect_close(const std::vector<float>& y, const Weight& weight, const Quantized& x) {
  const int64_t columns = weight.columns;
  for (int64_t m = 0; m < x.view.rows; ++m) {
    for (int64_t row = 0; row < weight.rows; ++row) {
      double sum = 0, magnitudes = 0;
      for (int64_t i = 0; i < columns; ++i) {
        const double value = x.number(m, i);
        const double term =
            (weight.value(row, i) - weight.offset(row, i)) * weight.scale(row, i) * value;
        sum += term;
        magnitudes += std::abs(term);
        // Weights that are raised to be unsigned leave sums to be taken off again.
        const double raised =
            (weight.dtype == DType::Int4 ? 8 : 128) + std::abs(weight.offset(row, i));
        magnitudes += std::abs(raised * weight.scale(row, i) * value);
      }
      const double tolerance = static_cast<double>(columns / 32 + 8) * 0x1p-24 * magnitudes;
      ASSERT_NEAR(y[static_cast<size_t>(m * weight.rows + row)], sum, tolerance + 1e-37)
          << "m " << m << " of " << x.view.rows << ", row " << row << " of " << weight.rows
          << ", columns " << columns << ", block " << weight.block << ", " << name(weight.dtype);
    }
  }
}

void check(Isa isa, const Weight& weight, int64_t m_rows, const std::vector<float>& activations) {
  const Quantized x(isa, activations, m_rows, weight.columns, weight.dtype);
  expect_close(run(isa, weight.here(), x.view), weight, x);
}

constexpr DType kIntegerTypes[] = {DType::Int4, DType::Int8};
constexpr Offsets kOffsets[] = {Offsets::None, Offsets::Some};
constexpr DType kScaleTypes[] = {DType::F16, DType::F32};
constexpr int64_t kColumns[] = {32,   64, 96, 128, 160, 224,  256, 288, 320, 480, 512, 768,
                                1056, 2,  30, 172, 258, 2590, 48,  80,  272, 784, 576};

// All blocks that divide the columns and that models use, and odd multiples of 32; halves of
// blocks.
std::vector<int64_t> blocks_of(int64_t columns) {
  std::vector<int64_t> blocks;
  for (const int64_t block : {16, 32, 64, 96, 128, 160, 256, 352, 384}) {
    if (block < columns && columns % block == 0) blocks.push_back(block);
  }
  blocks.push_back(columns);
  return blocks;
}

TEST(LinearApi, SupportsBlocksOf32Or16OrOneScaleForWholeBytes) {
  EXPECT_TRUE(supported(DType::Int4, 64, 32));
  EXPECT_TRUE(supported(DType::Int8, 8192, 8192));
  EXPECT_TRUE(supported(DType::Int4, 172, 172));
  EXPECT_TRUE(supported(DType::Int8, 33, 33));
  EXPECT_FALSE(supported(DType::Int4, 33, 33));
  EXPECT_FALSE(supported(DType::Int8, 66, 33));
  EXPECT_FALSE(supported(DType::Int8, 172, 32));
  EXPECT_FALSE(supported(DType::Int8, 0, 0));
  EXPECT_FALSE(supported(DType::UInt4, 64, 64));
  EXPECT_TRUE(supported(DType::Int4, 96, 96, true));
  EXPECT_FALSE(supported(DType::Int4, 172, 172, true));
  EXPECT_TRUE(supported(DType::Int8, 48, 16));
  EXPECT_FALSE(supported(DType::Int8, 64, 16, true));
  EXPECT_FALSE(supported(DType::Int8, 96, 48));
}

TEST_P(Linear, AgreesWithDoublesForAllShapes) {
  for (const DType type : kIntegerTypes) {
    for (const int64_t columns : kColumns) {
      for (const int64_t block : blocks_of(columns)) {
        for (const DType scale_type : kScaleTypes) {
          for (const Offsets offsets : kOffsets) {
            if (!supported(type, columns, block, offsets == Offsets::Some)) continue;
            for (const int64_t rows : {1, 2, 3, 5, 9}) {
              for (const int64_t m_rows : {1, 2, 3, 5, 8}) {
                check(GetParam(), Weight(type, rows, columns, block, scale_type, offsets), m_rows,
                      with_outliers(random_floats(static_cast<size_t>(m_rows * columns), 7),
                                    columns));
                if (HasFatalFailure()) return;
              }
            }
          }
        }
      }
    }
  }
}

TEST_P(Linear, AgreesForManyRowsOfBoth) {
  for (const DType type : kIntegerTypes) {
    for (const int64_t block : {16, 32, 128, 2048}) {
      for (int64_t m_rows : {1, 4, 6, 7, 9, 16, 33}) {
        for (const Offsets offsets : kOffsets) {
          if (!supported(type, 2048, block, offsets == Offsets::Some)) continue;
          check(GetParam(), Weight(type, 37, 2048, block, DType::F16, offsets), m_rows,
                with_outliers(random_floats(static_cast<size_t>(m_rows * 2048), 8), 2048));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
  // More weights than a level of cache holds of them at once, and longer rows.
  check(GetParam(), Weight(DType::Int8, 700, 1024, 1024), 9, random_floats(9 * 1024, 9));
  for (const DType type : kIntegerTypes) {
    check(GetParam(), Weight(type, 2, 1 << 18, 1 << 18), 9, random_floats(9 << 18, 10));
  }
}

TEST_P(Linear, ReadsNothingButTheWeightAtAnyAddress) {
  for (const DType type : kIntegerTypes) {
    for (const DType scale_type : kScaleTypes) {
      for (const int64_t columns : kColumns) {
        for (const int64_t block : blocks_of(columns)) {
          for (const int64_t rows : {1, 2, 4, 7}) {
            const Offsets some = supported(type, columns, block, true) && rows % 2 == 1
                                     ? Offsets::Some
                                     : Offsets::None;
            const Weight weight(type, rows, columns, block, scale_type, some);
            for (const int64_t m_rows : {1, 3, 9, 17}) {
              const Quantized x(GetParam(),
                                random_floats(static_cast<size_t>(m_rows * columns), 10), m_rows,
                                columns, type);
              const auto want = run(GetParam(), weight.here(), x.view);
              const GuardedBytes data(weight.data), scales(weight.scales), offsets(weight.offsets);
              EXPECT_TRUE(same_bits(
                  run(GetParam(), weight.at(data.data(), scales.data(), offsets.data()), x.view),
                  want));
              const MisalignedBytes odd_data(weight.data), odd_scales(weight.scales),
                  odd_offsets(weight.offsets);
              EXPECT_TRUE(same_bits(
                  run(GetParam(), weight.at(odd_data.data(), odd_scales.data(), odd_offsets.data()),
                      x.view),
                  want));
            }
          }
        }
      }
    }
  }
}

TEST_P(Linear, ExtremeValuesDoNotSaturate) {
  for (const DType type : kIntegerTypes) {
    const std::pair<int, int> extremes =
        type == DType::Int4 ? std::pair(0x88, 0x77) : std::pair(0x80, 0x7F);
    for (const int byte : {extremes.first, extremes.second, 0}) {
      for (const int64_t block : {16, 32, 512}) {
        Weight weight(type, 5, 512, block);
        std::fill(weight.data.begin(), weight.data.end(), static_cast<std::byte>(byte));
        for (const float sign : {1.0f, -1.0f}) {
          std::vector<float> x(3 * 512, sign * 3.5f);
          check(GetParam(), weight, 3, x);
          for (size_t i = 0; i < x.size(); i += 2) x[i] = -x[i];
          check(GetParam(), weight, 3, x);
        }
      }
    }
  }
}

TEST_P(Linear, ZerosAndTinyActivationsGiveZero) {
  for (const DType type : kIntegerTypes) {
    for (const int64_t block : {16, 32, 96}) {
      const Weight weight(type, 3, 96, block);
      for (const float tiny : {0.0f, -0.0f, 1e-40f}) {
        const Quantized x(GetParam(), std::vector<float>(2 * 96, tiny), 2, 96, type);
        for (const float y : run(GetParam(), weight.here(), x.view)) EXPECT_EQ(y, 0.0f);
      }
    }
  }
}

TEST_P(Linear, NonFiniteActivationsMakeTheirRowNan) {
  for (const DType type : kIntegerTypes) {
    for (const int64_t block : {16, 32, 288}) {
      for (const float bad : {kInf, -kInf, kNotANumber}) {
        const Weight weight(type, 4, 288, block);
        auto values = random_floats(3 * 288, 13);
        values[288 + 270] = bad;
        const Quantized x(GetParam(), values, 3, 288, type);
        const auto y = run(GetParam(), weight.here(), x.view);
        for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 4 == 1) << i;
      }
    }
  }
}

TEST_P(Linear, NonFiniteScalesStayInTheirRow) {
  for (const DType type : kIntegerTypes) {
    for (const int64_t block : {16, 32, 288}) {
      for (const float bad : {kInf, kNotANumber}) {
        Weight weight(type, 7, 288, block, DType::F32);
        store(&weight.scales[4 * static_cast<size_t>(3 * (288 / block))], bad);
        const Quantized x(GetParam(), random_floats(2 * 288, 14), 2, 288, type);
        const auto y = run(GetParam(), weight.here(), x.view);
        for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isfinite(y[i]), i % 7 != 3) << i;
      }
    }
  }
}

// The bits of a result depend on nothing but its two rows.
TEST_P(Linear, ResultsDependOnTheirRowsAlone) {
  for (const DType type : kIntegerTypes) {
    for (const int64_t columns : {64, 96, 172, 288, 576, 1024, 1152}) {
      for (const int64_t block :
           {int64_t{16}, int64_t{32}, int64_t{-32}, int64_t{96}, columns}) {  // -32: with offsets
        if (columns % block != 0) continue;
        const int64_t rows = 19, m_rows = 33;
        const Weight weight(type, rows, columns, std::abs(block), DType::F16,
                            block < 0 ? Offsets::Some : Offsets::None);
        const auto values =
            with_outliers(random_floats(static_cast<size_t>(m_rows * columns), 15), columns);
        const Quantized all(GetParam(), values, m_rows, columns, type);
        const auto want = run(GetParam(), weight.here(), all.view);

        for (const int64_t some : {1, 2, 3, 4, 5, 6, 7, 8, 9, 17}) {
          for (int64_t m = 0; m < m_rows; m += some) {
            const int64_t end = std::min(m + some, m_rows);
            const Quantized part(GetParam(),
                                 {values.begin() + m * columns, values.begin() + end * columns},
                                 end - m, columns, type);
            const auto got = run(GetParam(), weight.here(), part.view);
            EXPECT_EQ(0, std::memcmp(got.data(), want.data() + m * rows, got.size() * 4))
                << "rows " << m << " to " << end;
          }
        }
        for (int64_t step = 1; step <= rows; ++step) {
          const int64_t stride = rows + 3;
          std::vector<float> y(static_cast<size_t>(m_rows * stride), 42.0f);
          for (int64_t r = 0; r < rows; r += step) {
            linear(GetParam(), weight.here(), all.view, r, std::min(r + step, rows), y.data(),
                   stride);
          }
          for (int64_t m = 0; m < m_rows; ++m) {
            const float* row = y.data() + m * stride;
            EXPECT_EQ(0, std::memcmp(row, want.data() + m * rows, static_cast<size_t>(rows) * 4));
            for (int64_t i = rows; i < stride; ++i) EXPECT_EQ(row[i], 42.0f);
          }
        }
      }
    }
  }
}

// Matrix instructions are no more than a faster way to the same bits.
TEST(LinearByTiles, HasTheBitsOfAvx512) {
  if (auto isa = isa_from_name(name(Isa::Amx)); !isa) GTEST_SKIP() << isa.error().to_string();
  for (const DType type : kIntegerTypes) {
    for (const int64_t columns : {32, 172, 768, 1056, 2048, 2590, 16384, 16416}) {
      for (const int64_t block : {int64_t{16}, int64_t{32}, int64_t{96}, int64_t{256}, columns}) {
        if (columns % block != 0) continue;
        // (At other times with offsets.)
        const Offsets offsets = columns % 64 == 0 && supported(type, columns, block, true)
                                    ? Offsets::Some
                                    : Offsets::None;
        const Weight weight(type, 37, columns, block, block == 96 ? DType::F32 : DType::F16,
                            offsets);
        for (const int64_t m_rows : {15, 16, 17, 32, 45}) {
          const auto values = random_floats(static_cast<size_t>(m_rows * columns), 17);
          const Quantized tiles(Isa::Amx, values, m_rows, columns, type);
          const Quantized rows(Isa::Avx512, values, m_rows, columns, type);
          EXPECT_TRUE(same_bits(run(Isa::Amx, weight.here(), tiles.view),
                                run(Isa::Avx512, weight.here(), rows.view)))
              << name(type) << ", columns " << columns << ", block " << block << ", " << m_rows;
        }
      }
    }
  }
}

TEST_P(Linear, EmptyRangesDoNothing) {
  const Weight weight(DType::Int4, 4, 64, 32);
  const Quantized x(GetParam(), random_floats(64, 16), 1, 64, DType::Int4);
  float y[4] = {1, 2, 3, 4};
  linear(GetParam(), weight.here(), x.view, 2, 2, y, 4);
  QuantizedActivations none = x.view;
  none.rows = 0;
  linear(GetParam(), weight.here(), none, 0, 4, y, 4);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(y[i], static_cast<float>(i + 1));
}

}  // namespace
}  // namespace diptych::kernels
