#include <cmath>
#include <limits>

#include "kernels/linear.h"
#include "kernels_test_util.h"

namespace diptych::kernels {
namespace {

class LinearDequantized : public ForEachIsa {};
DIPTYCH_FOR_EACH_ISA(LinearDequantized);

constexpr DType kTypes[] = {DType::Int4, DType::Int8};

int64_t rows_of(const std::vector<float>& x, int64_t columns) { return std::ssize(x) / columns; }

std::vector<float> run(Isa isa, const LinearWeight& weight, const std::vector<float>& x) {
  const int64_t m_rows = rows_of(x, weight.columns);
  std::vector<float> y(static_cast<size_t>(m_rows * weight.rows), std::nanf(""));
  linear_dequantized(isa, weight, x.data(), weight.columns, m_rows, 0, weight.rows, y.data(),
                     weight.rows);
  return y;
}

// What linear_float() makes of the floats that the weight stands for.
std::vector<float> by_floats(Isa isa, const Weight& weight, const std::vector<float>& x) {
  std::vector<float> floats;
  for (int64_t row = 0; row < weight.rows; ++row) {
    for (int64_t i = 0; i < weight.columns; ++i) {
      floats.push_back(
          (static_cast<float>(weight.value(row, i)) - static_cast<float>(weight.offset(row, i))) *
          static_cast<float>(weight.scale(row, i)));
    }
  }
  const int64_t m_rows = rows_of(x, weight.columns);
  std::vector<float> y(static_cast<size_t>(m_rows * weight.rows));
  linear_float(
      isa,
      {reinterpret_cast<const std::byte*>(floats.data()), DType::F32, weight.rows, weight.columns},
      x.data(), weight.columns, m_rows, 0, weight.rows, y.data(), weight.rows);
  return y;
}

void check(Isa isa, const Weight& weight, const std::vector<float>& x) {
  EXPECT_TRUE(same_bits(run(isa, weight.here(), x), by_floats(isa, weight, x)))
      << name(weight.dtype) << ", rows " << weight.rows << ", columns " << weight.columns
      << ", block " << weight.block << ", rows of x " << rows_of(x, weight.columns);
}

TEST(LinearDequantizedApi, TakesBlocksOf16OrOneScaleForWholeBytes) {
  EXPECT_TRUE(can_dequantize(DType::Int4, 48, 16));
  EXPECT_TRUE(can_dequantize(DType::Int4, 172, 172));
  EXPECT_TRUE(can_dequantize(DType::Int8, 33, 33));
  EXPECT_FALSE(can_dequantize(DType::Int4, 33, 33));
  EXPECT_FALSE(can_dequantize(DType::Int8, 16, 8));
  EXPECT_FALSE(can_dequantize(DType::Int8, 100, 16));
  EXPECT_FALSE(can_dequantize(DType::Int8, 0, 0));
  EXPECT_FALSE(can_dequantize(DType::UInt4, 64, 64));
}

TEST_P(LinearDequantized, HasTheBitsOfLinearFloatForAllShapes) {
  for (const DType type : kTypes) {
    for (const DType scale_type : {DType::F16, DType::F32}) {
      for (const int64_t columns : {2, 6, 8, 14, 16, 30, 32, 48, 96, 128, 130, 172, 256, 2592}) {
        for (const int64_t block : {int64_t{16}, int64_t{32}, int64_t{48}, int64_t{96}, columns}) {
          if (!can_dequantize(type, columns, block)) continue;
          for (const int64_t rows : {1, 2, 3, 4, 5, 9}) {
            const Weight weight(type, rows, columns, block, scale_type,
                                rows % 2 == 0 ? Offsets::Some : Offsets::None);
            for (const int64_t m_rows : {1, 2, 7}) {
              check(GetParam(), weight, random_floats(static_cast<size_t>(m_rows * columns), 31));
            }
          }
        }
      }
    }
  }
  for (const int64_t columns : {1, 3, 7, 9, 15, 17, 31, 33, 65}) {
    const Weight weight(DType::Int8, 5, columns, columns);
    for (const int64_t m_rows : {1, 3}) {
      check(GetParam(), weight, random_floats(static_cast<size_t>(m_rows * columns), 32));
    }
  }
}

// More columns, rows of the weight and rows of x than are worked off at once; blocks that do not
// end where parts do.
TEST_P(LinearDequantized, PartsPanelsAndSlabsDoNotShow) {
  constexpr size_t kColumns = 4128, kRows = 129;
  for (const DType type : kTypes) {
    for (const int64_t block : {48, 4128}) {
      const Offsets offsets = block == 48 ? Offsets::Some : Offsets::None;
      check(GetParam(), Weight(type, 27, kColumns, block, DType::F16, offsets),
            random_floats(kRows * kColumns, 36));
    }
  }
}

TEST_P(LinearDequantized, ReadsNothingButTheWeightAtAnyAddress) {
  for (const DType type : kTypes) {
    for (const int64_t columns : {2, 16, 30, 32, 172, 256}) {
      for (const int64_t rows : {1, 3, 4, 6}) {
        const Weight weight(type, rows, columns, columns, DType::F16, Offsets::Some);
        const GuardedBytes data(weight.data), scales(weight.scales), offsets(weight.offsets);
        const MisalignedBytes odd(weight.data), odd_scales(weight.scales),
            odd_offsets(weight.offsets);
        for (const int64_t m_rows : {1, 3}) {
          const auto x = random_floats(static_cast<size_t>(m_rows * columns), 33);
          const auto want = run(GetParam(), weight.here(), x);
          EXPECT_TRUE(same_bits(
              run(GetParam(), weight.at(data.data(), scales.data(), offsets.data()), x), want));
          EXPECT_TRUE(same_bits(
              run(GetParam(), weight.at(odd.data(), odd_scales.data(), odd_offsets.data()), x),
              want));
        }
      }
    }
  }
}

// A scale or an activation that is not finite shows in its own rows only, and as linear_float()
// shows it.
TEST_P(LinearDequantized, NonFiniteValuesStayInTheirRows) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const DType type : kTypes) {
    for (const float bad : {kInfinity, -kInfinity, std::nanf("")}) {
      Weight weight(type, 5, 64, 32, DType::F32);
      store(&weight.scales[20], bad);  // the second of row 2
      for (const size_t m_rows : {1, 3}) {
        const auto x = random_floats(m_rows * 64, 34);
        const auto y = run(GetParam(), weight.here(), x), want = by_floats(GetParam(), weight, x);
        for (size_t i = 0; i < y.size(); ++i) {
          EXPECT_EQ(std::isfinite(y[i]), i % 5 != 2);
          EXPECT_EQ(std::isnan(y[i]), std::isnan(want[i]));
        }
      }
    }
  }
}

TEST_P(LinearDequantized, ResultsDependOnTheirRowsAlone) {
  for (const DType type : kTypes) {
    const Weight weight(type, 37, 96, 32);
    const int64_t m_rows = 9;
    const auto x = random_floats(m_rows * 96, 35);
    const auto want = run(GetParam(), weight.here(), x);
    for (const int64_t step : {1, 2, 3, 5, 36}) {
      for (const int64_t some : {1, 2, 4, 9}) {
        std::vector<float> y(want.size(), std::nanf(""));
        for (int64_t m = 0; m < m_rows; m += some) {
          for (int64_t first = 0; first < weight.rows; first += step) {
            linear_dequantized(
                GetParam(), weight.here(), x.data() + m * 96, 96, std::min(some, m_rows - m), first,
                std::min(first + step, weight.rows), y.data() + m * weight.rows, weight.rows);
          }
        }
        EXPECT_TRUE(same_bits(y, want));
      }
    }
  }
}

}  // namespace
}  // namespace diptych::kernels
