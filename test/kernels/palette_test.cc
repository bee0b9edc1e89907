#include "kernels/palette.h"

#include <cmath>
#include <limits>

#include "kernels_test_util.h"

namespace diptych::kernels {
namespace {

class LinearPalette : public ForEachIsa {};
DIPTYCH_FOR_EACH_ISA(LinearPalette);

constexpr int kBits[] = {4, 6, 8};
constexpr int64_t kPaletteColumns[] = {4, 32, 64, 96, 172, 224, 256, 288, 512, 768, 1056, 2592};

// Random indices and tables.
struct Palette {
  int bits;
  int64_t rows, columns, rows_per_table;
  std::vector<std::byte> data;
  std::vector<int8_t> codes;
  std::vector<float> scales, entries;

  Palette(int index_bits, int64_t row_count, int64_t column_count, int64_t group)
      : bits(index_bits), rows(row_count), columns(column_count), rows_per_table(group) {
    data = random_bytes(static_cast<size_t>(rows * columns * bits / 8), 21);
    const auto tables = static_cast<size_t>(rows / group), size = size_t{1} << bits;
    for (const std::byte code : random_bytes(tables * size, 22)) {
      codes.push_back(std::max(static_cast<int8_t>(code), int8_t{-127}));
    }
    const auto table_scales = random_floats(tables, 23, 0.02f);
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      scales.push_back(table_scales[row / static_cast<size_t>(group)]);
    }
    entries = random_floats(tables * size, 24);
  }

  PaletteWeight at(const std::byte* indices) const {
    return {indices,        bits,         rows,          columns,
            rows_per_table, codes.data(), scales.data(), entries.data()};
  }
  PaletteWeight here() const { return at(data.data()); }

  // Where in the tables a weight points.
  size_t index(int64_t row, int64_t column) const {
    size_t index = 0;
    for (int i = 0; i < bits; ++i) {
      const auto bit = static_cast<size_t>((row * columns + column) * bits + i);
      index |= (static_cast<size_t>(data[bit / 8]) >> bit % 8 & 1) << i;
    }
    return (static_cast<size_t>(row / rows_per_table) << bits) + index;
  }
};

std::vector<float> run(Isa isa, const PaletteWeight& weight, const QuantizedActivations& x) {
  std::vector<float> y(static_cast<size_t>(x.rows * weight.rows), std::nanf(""));
  linear_palette(isa, weight, x, 0, weight.rows, y.data(), weight.rows);
  return y;
}

Quantized quantized(Isa isa, const std::vector<float>& x, const Palette& weight) {
  return {isa, x, std::ssize(x) / weight.columns, weight.columns, palette_activations(weight.bits)};
}

// Compares with sums in double precision of the same quantised values.
void check(Isa isa, const Palette& weight, const std::vector<float>& values) {
  const Quantized x = quantized(isa, values, weight);
  const auto y = run(isa, weight.here(), x.view);
  for (int64_t m = 0; m < x.view.rows; ++m) {
    for (int64_t row = 0; row < weight.rows; ++row) {
      const double scale = weight.scales[static_cast<size_t>(row)];
      double sum = 0, magnitudes = 0;
      for (int64_t i = 0; i < weight.columns; ++i) {
        const double value = x.number(m, i) * scale;
        sum += weight.codes[weight.index(row, i)] * value;
        magnitudes += std::abs(256 * value);  // (as weights may be raised to be unsigned)
      }
      const double tolerance = static_cast<double>(weight.columns / 32 + 8) * 0x1p-24 * magnitudes;
      ASSERT_NEAR(y[static_cast<size_t>(m * weight.rows + row)], sum, tolerance + 1e-37)
          << weight.bits << " bits, m " << m << ", row " << row << " of " << weight.rows
          << ", columns " << weight.columns;
    }
  }
}

TEST(PaletteApi, TakesRowsOfWholeBytes) {
  EXPECT_TRUE(can_look_up(4, 2));
  EXPECT_FALSE(can_look_up(4, 3));
  EXPECT_TRUE(can_look_up(6, 172));
  EXPECT_FALSE(can_look_up(6, 2));
  EXPECT_TRUE(can_look_up(8, 3));
  EXPECT_FALSE(can_look_up(3, 8));
  EXPECT_FALSE(can_look_up(8, 0));
}

TEST(PaletteCodes, AreExactForMultiplesOfANumber) {
  int8_t codes[16];
  std::vector<float> entries;
  for (int i = 0; i < 16; ++i) entries.push_back(static_cast<float>(i * 12 - 113) * 0x1.ap-9f);
  EXPECT_EQ(palette_codes(entries, codes), 0x1.ap-9f);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(codes[i], i * 12 - 113);
}

TEST(PaletteCodes, RoundOthersToTheLargest) {
  int8_t codes[4];
  EXPECT_EQ(palette_codes(std::vector<float>{-1, -0.001f, 0.3f, 0.7f}, codes), 1.0f / 127);
  EXPECT_EQ(codes[0], -127);
  EXPECT_EQ(codes[1], 0);
  EXPECT_EQ(codes[2], 38);
  EXPECT_EQ(codes[3], 89);
}

TEST(PaletteCodes, OfZerosAndOfNonFiniteEntries) {
  int8_t codes[2] = {1, 1};
  EXPECT_EQ(palette_codes(std::vector<float>{0, -0.0f}, codes), 0.0f);
  EXPECT_EQ(codes[0], 0);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {kInfinity, -kInfinity, std::nanf("")}) {
    EXPECT_TRUE(std::isnan(palette_codes(std::vector<float>{1, bad}, codes)));
  }
  EXPECT_EQ(palette_codes(std::vector<float>{0x1p-149f, 0x1p-148f}, codes), 0x1p-149f);
  EXPECT_EQ(codes[1], 2);
  constexpr float kMost = std::numeric_limits<float>::max();
  EXPECT_EQ(palette_codes(std::vector<float>{kMost, 0x1p-149f}, codes), kMost / 127);
  EXPECT_EQ(codes[1], 0);
}

TEST_P(LinearPalette, AgreesWithDoublesForAllShapes) {
  for (const int bits : kBits) {
    for (const int64_t columns : kPaletteColumns) {
      for (const auto& [rows, group] : {std::pair(1, 1), std::pair(5, 5), std::pair(12, 4)}) {
        for (const int64_t m_rows : {1, 2, 5, 9}) {
          check(GetParam(), Palette(bits, rows, columns, group),
                with_outliers(random_floats(static_cast<size_t>(m_rows * columns), 7), columns));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(LinearPalette, AgreesForManyRowsOfBoth) {
  for (const int bits : kBits) {
    for (const int64_t m_rows : {1, 7, 16, 33}) {
      check(GetParam(), Palette(bits, 300, 1024, 30),
            with_outliers(random_floats(static_cast<size_t>(m_rows * 1024), 8), 1024));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(LinearPalette, ExtremeEntriesDoNotSaturate) {
  for (const int bits : kBits) {
    for (const int code : {-127, 127}) {
      Palette weight(bits, 3, 512, 3);
      std::fill(weight.codes.begin(), weight.codes.end(), static_cast<int8_t>(code));
      check(GetParam(), weight, std::vector<float>(3 * 512, 3.5f));
      check(GetParam(), weight, std::vector<float>(3 * 512, -3.5f));
    }
  }
}

TEST_P(LinearPalette, ReadsNothingButTheWeightAtAnyAddress) {
  for (const int bits : kBits) {
    for (const int64_t columns : kPaletteColumns) {
      for (const int64_t rows : {1, 2, 7}) {
        const Palette weight(bits, rows, columns, rows);
        const GuardedBytes guarded(weight.data);
        const MisalignedBytes odd(weight.data);
        for (const int64_t m_rows : {1, 9, 17}) {
          const auto values = random_floats(static_cast<size_t>(m_rows * columns), 10);
          const Quantized x = quantized(GetParam(), values, weight);
          const auto want = run(GetParam(), weight.here(), x.view);
          EXPECT_TRUE(same_bits(run(GetParam(), weight.at(guarded.data()), x.view), want));
          EXPECT_TRUE(same_bits(run(GetParam(), weight.at(odd.data()), x.view), want));
        }
      }
    }
  }
}

// The bits of a result depend on nothing but its two rows.
TEST_P(LinearPalette, ResultsDependOnTheirRowsAlone) {
  constexpr int64_t kRows = 12, kMost = 33;
  for (const int bits : kBits) {
    for (const int64_t columns : {64, 172, 1024}) {
      const Palette weight(bits, kRows, columns, 4);
      const auto values =
          with_outliers(random_floats(static_cast<size_t>(kMost * columns), 15), columns);
      const Quantized all = quantized(GetParam(), values, weight);
      const auto want = run(GetParam(), weight.here(), all.view);
      for (const int64_t some : {1, 2, 5, 7, 17}) {
        for (int64_t m = 0; m < kMost; m += some) {
          const int64_t end = std::min(m + some, kMost);
          const Quantized part = quantized(
              GetParam(), {values.begin() + m * columns, values.begin() + end * columns}, weight);
          const auto got = run(GetParam(), weight.here(), part.view);
          EXPECT_EQ(0, std::memcmp(got.data(), want.data() + m * kRows, got.size() * 4));
        }
      }
      for (const int64_t step : {1, 5}) {
        std::vector<float> y(want.size());
        for (int64_t r = 0; r < kRows; r += step) {
          linear_palette(GetParam(), weight.here(), all.view, r, std::min(r + step, kRows),
                         y.data(), kRows);
        }
        EXPECT_TRUE(same_bits(y, want));
      }
    }
  }
}

// Rows that were looked up before are multiplied to the same bits, outliers included, where there
// is use for them.
TEST_P(LinearPalette, HasTheBitsOfLinearOverCodes) {
  for (const int bits : kBits) {
    for (const int64_t columns : kPaletteColumns) {
      if (bits == 4) continue;  // meets other activations
      const Palette weight(bits, 12, columns, 4);
      std::vector<int8_t> codes(static_cast<size_t>(weight.rows * columns));
      look_up_codes(weight.here(), 0, 5, codes.data());
      look_up_codes(weight.here(), 5, weight.rows, codes.data() + 5 * columns);
      for (int64_t row = 0; row < weight.rows; ++row) {
        for (int64_t i = 0; i < columns; ++i) {
          ASSERT_EQ(codes[static_cast<size_t>(row * columns + i)],
                    weight.codes[weight.index(row, i)]);
        }
      }
      if (looks_up_in_place(GetParam(), bits)) continue;
      const LinearWeight rows{reinterpret_cast<const std::byte*>(codes.data()),
                              DType::Int8,
                              weight.rows,
                              columns,
                              reinterpret_cast<const std::byte*>(weight.scales.data()),
                              DType::F32,
                              columns};
      for (const int64_t m_rows : {1, 3, 20}) {
        auto x = random_floats(static_cast<size_t>(m_rows * columns), 33);
        x[x.size() / 2] = 300;
        const Quantized quantized_x = quantized(GetParam(), x, weight);
        std::vector<float> y(static_cast<size_t>(m_rows * weight.rows));
        linear(GetParam(), rows, quantized_x.view, 0, weight.rows, y.data(), weight.rows);
        EXPECT_TRUE(same_bits(y, run(GetParam(), weight.here(), quantized_x.view)))
            << bits << " bits, columns " << columns << ", rows of x " << m_rows;
      }
    }
  }
}

TEST(LinearPaletteByTiles, HasTheBitsOfAvx512) {
  if (auto isa = isa_from_name(name(Isa::Amx)); !isa) GTEST_SKIP() << isa.error().to_string();
  for (const int bits : kBits) {
    for (const int64_t columns : {32, 172, 1056, 2048}) {
      const Palette weight(bits, 36, columns, 12);
      for (const int64_t m_rows : {16, 17, 45}) {
        const auto values = random_floats(static_cast<size_t>(m_rows * columns), 17);
        const Quantized tiles = quantized(Isa::Amx, values, weight);
        const Quantized rows = quantized(Isa::Avx512, values, weight);
        EXPECT_TRUE(same_bits(run(Isa::Amx, weight.here(), tiles.view),
                              run(Isa::Avx512, weight.here(), rows.view)));
      }
    }
  }
}

TEST_P(LinearPalette, DequantizedHasTheBitsOfLinearFloat) {
  for (const int bits : kBits) {
    for (const int64_t columns : {4, 12, 32, 100, 172, 256, 2592}) {
      for (const auto& [rows, group] : {std::pair(1, 1), std::pair(3, 3), std::pair(56, 8)}) {
        const Palette weight(bits, rows, columns, group);
        std::vector<float> floats;
        for (int64_t row = 0; row < rows; ++row) {
          for (int64_t i = 0; i < columns; ++i) {
            floats.push_back(weight.entries[weight.index(row, i)]);
          }
        }
        const GuardedBytes data(weight.data);
        for (const int64_t m_rows : {1, 2, 7, 130}) {
          const auto x = random_floats(static_cast<size_t>(m_rows * columns), 31);
          std::vector<float> y(static_cast<size_t>(m_rows * rows)), want(y.size());
          linear_palette_dequantized(GetParam(), weight.at(data.data()), x.data(), columns, m_rows,
                                     0, rows, y.data(), rows);
          linear_float(
              GetParam(),
              {reinterpret_cast<const std::byte*>(floats.data()), DType::F32, rows, columns},
              x.data(), columns, m_rows, 0, rows, want.data(), rows);
          EXPECT_TRUE(same_bits(y, want)) << bits << " bits, columns " << columns;
        }
      }
    }
  }
}

}  // namespace
}  // namespace diptych::kernels
