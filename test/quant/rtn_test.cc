#include "quant/rtn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "base/half.h"
#include "quant/quantize.h"

namespace diptych::quant {
namespace {

using ::testing::ElementsAre;

// Every instruction set that this machine has and the library was built for, one after another.
template <class Body>
void for_each_target(Body body) {
  const int64_t targets = hwy::SupportedTargets();
  for (int64_t rest = targets; rest != 0; rest &= rest - 1) {
    const int64_t target = rest & -rest;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    SCOPED_TRACE(hwy::TargetName(target));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

struct Codes {
  std::vector<int8_t> codes;
  std::vector<float> scales;
};

Codes quantized_row(DType dtype, const std::vector<double>& row, const Quantization& how) {
  const WeightRef source = constant_floats(dtype, {1, static_cast<int64_t>(row.size())}, row);
  const auto quantized = quantize(source, how, "w").value();
  Codes result;
  const auto codes = read_ints(*quantized.codes).value();
  result.codes.assign(codes.begin(), codes.end());
  result.scales = read_floats(*quantized.scales).value();
  return result;
}

TEST(Rtn, FourBitRowClipsThePositiveEnd) {
  // m = 1: scale = fp16(1 / 7.5) = 0x3044, 1 / scale = 7.5 in fp16.
  const Codes q = quantized_row(DType::F16, {1, -1, 0.5, -0.5, 0, 0.06, 0.07}, {{4, 0}});
  EXPECT_THAT(q.codes, ElementsAre(7, -8, 4, -4, 0, 0, 1));
  EXPECT_THAT(q.scales, ElementsAre(half_to_float(0x3044)));
}

TEST(Rtn, EightBitRow) {
  const Codes q = quantized_row(DType::F32, {127.5, -127.5, 1, 1.5, 2.5, -0.5}, {{8, 0}});
  EXPECT_THAT(q.codes, ElementsAre(127, -128, 1, 2, 2, 0));
  EXPECT_THAT(q.scales, ElementsAre(1.0f));
}

TEST(Rtn, ProductsAreRoundedToHalfBeforeTheyAreRoundedToIntegers) {
  // 1 / scale = 127.5 in fp16; 0.5137 in fp16 is 0.513671875, and 65.4931640625 rounds to 65.5 in
  // fp16 (steps of 1/16), which is a tie and goes to 66. In fp32 the code would be 65.
  const Codes half = quantized_row(DType::F16, {1, 0.513671875}, {{8, 0}});
  const Codes full = quantized_row(DType::F32, {1, 0.513671875}, {{8, 0}});
  EXPECT_EQ(half.codes[1], 66);
  EXPECT_EQ(full.codes[1], 65);
}

TEST(Rtn, ZerosGetTheSmallestNormalScale) {
  EXPECT_THAT(quantized_row(DType::F16, {0, -0.0}, {{4, 0}}).scales, ElementsAre(0x1p-14f));
  EXPECT_THAT(quantized_row(DType::F32, {0, -0.0}, {{8, 0}}).scales, ElementsAre(0x1p-126f));
  EXPECT_THAT(quantized_row(DType::F16, {0, -0.0}, {{4, 0}}).codes, ElementsAre(0, 0));
}

TEST(Rtn, SubnormalsAreValues) {
  // fp16 subnormals below the smallest normal scale: 3 * 2^-24 * 2^14 rounds to 0, 2^-14 * 0.75
  // to 1.
  const Codes q = quantized_row(DType::F16, {0x3p-24, 0x1.8p-15, -0x1.8p-15}, {{4, 0}});
  EXPECT_THAT(q.scales, ElementsAre(0x1p-14f));
  EXPECT_THAT(q.codes, ElementsAre(0, 1, -1));
}

TEST(Rtn, GroupsHaveScalesOfTheirOwn) {
  std::vector<double> row(64, 0.75);
  std::fill(row.begin() + 32, row.end(), -7.5);
  const Codes q = quantized_row(DType::F32, row, {{4, 32}});
  EXPECT_THAT(q.scales, ElementsAre(0.1f, 1.0f));
  EXPECT_EQ(q.codes[0], 7);
  EXPECT_EQ(q.codes[63], -8);
}

// The definition again in double precision, rounding to T by a route of its own.
template <class T>
int expected_code(double w, double m, int bits) {
  const auto round = [](double value) {
    if constexpr (std::is_same_v<T, float>) return static_cast<double>(static_cast<float>(value));
    // fp16: a multiple of 2^-24 for subnormals, else eleven significant bits.
    int exponent = 0;
    std::frexp(value, &exponent);
    const double step = std::ldexp(1.0, std::max(exponent - 11, -24));
    return std::nearbyint(value / step) * step;
  };
  const double smallest = std::is_same_v<T, float> ? 0x1p-126 : 0x1p-14;
  const double scale = std::max(round(m / (bits == 4 ? 7.5 : 127.5)), smallest);
  const double code = std::nearbyint(round(w * round(1 / scale)));
  const double limit = bits == 4 ? 8 : 128;
  return static_cast<int>(std::min(std::max(code, -limit), limit - 1));
}

TEST(Rtn, EveryHalfAgainstManyMaxima) {
  for (const int bits : {4, 8}) {
    for (uint16_t m = 1; m < 0x7C00; m = static_cast<uint16_t>(m + 331)) {
      std::vector<uint16_t> row;
      for (uint16_t w = 0; w <= m; ++w) row.push_back(w);
      std::vector<int8_t> codes(row.size());
      float scale = 0;
      ASSERT_TRUE(quantize_groups(row.data(), 1, row.size(), bits, codes.data(), &scale));
      for (size_t i = 0; i < row.size(); ++i) {
        ASSERT_EQ(codes[i], expected_code<uint16_t>(half_to_float(row[i]), half_to_float(m), bits))
            << "w " << row[i] << " m " << m << " bits " << bits;
      }
    }
  }
}

template <class T>
std::vector<T> random_weights(size_t count, std::mt19937& random) {
  // All finite bit patterns alike: every magnitude, subnormals too, both signs.
  std::vector<T> weights(count);
  for (T& weight : weights) {
    const auto bits = static_cast<uint32_t>(random());
    if constexpr (std::is_same_v<T, float>) {
      weight = std::bit_cast<float>(bits);
      if (!std::isfinite(weight)) weight = 1;
    } else {
      weight = static_cast<uint16_t>(bits);
      if ((weight & 0x7C00) == 0x7C00) weight = 0;
    }
  }
  return weights;
}

template <class T>
void expect_equal_to_reference(size_t groups, size_t group, int bits, std::mt19937& random) {
  // Every second group has weights of like magnitude, so that all codes occur.
  std::vector<T> in = random_weights<T>(groups * group, random);
  for (size_t g = 0; g < groups; g += 2) {
    for (size_t i = 0; i < group; ++i) {
      const float value = static_cast<float>(static_cast<int>(random() % 511) - 255) / 2;
      if constexpr (std::is_same_v<T, float>) {
        in[g * group + i] = value;
      } else {
        in[g * group + i] = float_to_half(value);
      }
    }
  }
  std::vector<int8_t> codes(in.size()), expected_codes(in.size());
  std::vector<float> scales(groups), only_scales(groups), expected_scales(groups);
  ASSERT_TRUE(quantize_groups(in.data(), groups, group, bits, codes.data(), scales.data()));
  ASSERT_TRUE(quantize_groups(in.data(), groups, group, bits, nullptr, only_scales.data()));
  ASSERT_TRUE(quantize_groups_reference(in.data(), groups, group, bits, expected_codes.data(),
                                        expected_scales.data()));
  EXPECT_EQ(codes, expected_codes) << groups << " x " << group << ", bits " << bits;
  EXPECT_EQ(scales, expected_scales);
  EXPECT_EQ(only_scales, expected_scales);
}

TEST(Rtn, AllInstructionSetsAgreeWithTheReference) {
  for_each_target([] {
    std::mt19937 random(5);
    for (const size_t group : {1, 2, 3, 7, 8, 15, 17, 32, 43, 64, 128, 172, 1000}) {
      for (const int bits : {4, 8}) {
        expect_equal_to_reference<uint16_t>(9, group, bits, random);
        expect_equal_to_reference<float>(9, group, bits, random);
      }
    }
  });
}

TEST(Rtn, NonFiniteElementsAreFoundWhereverTheyStand) {
  for_each_target([] {
    for (const size_t group : {1, 5, 32, 77}) {
      for (size_t at = 0; at < 2 * group; ++at) {
        std::vector<int8_t> codes(2 * group);
        for (const uint16_t bad : {0x7C00, 0xFC00, 0x7C01, 0xFFFF}) {
          std::vector<uint16_t> in(2 * group, 0x3C00);
          std::vector<float> scales(2);
          in[at] = bad;
          EXPECT_FALSE(quantize_groups(in.data(), 2, group, 4, codes.data(), scales.data()));
        }
        for (const float bad :
             {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::quiet_NaN()}) {
          std::vector<float> in(2 * group, 1.0f), scales(2);
          in[at] = bad;
          EXPECT_FALSE(quantize_groups(in.data(), 2, group, 4, codes.data(), scales.data()));
        }
      }
    }
  });
}

}  // namespace
}  // namespace diptych::quant
