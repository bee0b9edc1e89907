#include "quant/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/half.h"
#include "quant/cache.h"
#include "quant/rtn.h"
#include "testing/shared_data.h"

namespace diptych::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

// --- The arithmetic ---

TEST(Quantize, FourBitRowClipsThePositiveEnd) {
  // m = 1: scale = fp16(1 / 7.5) = 0x3044, 1 / scale = 7.5 in fp16.
  const Codes q = quantized_row(DType::F16, {1, -1, 0.5, -0.5, 0, 0.06, 0.07}, {{4, 0}});
  EXPECT_THAT(q.codes, ElementsAre(7, -8, 4, -4, 0, 0, 1));
  EXPECT_THAT(q.scales, ElementsAre(half_to_float(0x3044)));
}

TEST(Quantize, EightBitRow) {
  const Codes q = quantized_row(DType::F32, {127.5, -127.5, 1, 1.5, 2.5, -0.5}, {{8, 0}});
  EXPECT_THAT(q.codes, ElementsAre(127, -128, 1, 2, 2, 0));
  EXPECT_THAT(q.scales, ElementsAre(1.0f));
}

TEST(Quantize, ProductsAreRoundedToHalfBeforeTheyAreRoundedToIntegers) {
  // 1 / scale = 127.5 in fp16; 0.5137 in fp16 is 0.513671875, and 65.4931640625 rounds to 65.5 in
  // fp16 (steps of 1/16), which is a tie and goes to 66. In fp32 the code would be 65.
  const Codes half = quantized_row(DType::F16, {1, 0.513671875}, {{8, 0}});
  const Codes full = quantized_row(DType::F32, {1, 0.513671875}, {{8, 0}});
  EXPECT_EQ(half.codes[1], 66);
  EXPECT_EQ(full.codes[1], 65);
}

TEST(Quantize, ZerosGetTheSmallestNormalScale) {
  EXPECT_THAT(quantized_row(DType::F16, {0, -0.0}, {{4, 0}}).scales, ElementsAre(0x1p-14f));
  EXPECT_THAT(quantized_row(DType::F32, {0, -0.0}, {{8, 0}}).scales, ElementsAre(0x1p-126f));
  EXPECT_THAT(quantized_row(DType::F16, {0, -0.0}, {{4, 0}}).codes, ElementsAre(0, 0));
}

TEST(Quantize, SubnormalsAreValues) {
  // fp16 subnormals below the smallest normal scale: 3 * 2^-24 * 2^14 rounds to 0, 2^-14 * 0.75
  // to 1.
  const Codes q = quantized_row(DType::F16, {0x3p-24, 0x1.8p-15, -0x1.8p-15}, {{4, 0}});
  EXPECT_THAT(q.scales, ElementsAre(0x1p-14f));
  EXPECT_THAT(q.codes, ElementsAre(0, 1, -1));
}

TEST(Quantize, GroupsHaveScalesOfTheirOwn) {
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

TEST(Quantize, EveryHalfAgainstManyMaxima) {
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

TEST(Quantize, AllInstructionSetsAgreeWithTheReference) {
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

TEST(Quantize, NonFiniteElementsAreFoundWhereverTheyStand) {
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

// --- Weights ---

std::vector<std::byte> rows_of(const Weight& weight, int64_t first, int64_t count) {
  std::vector<std::byte> bytes(static_cast<uint64_t>(count) * weight.row_bytes());
  EXPECT_TRUE(weight.read_rows(first, count, bytes).has_value());
  return bytes;
}

TEST(QuantizedWeight, HasPackedCodesAndOneScalePerGroup) {
  const WeightRef source = random_weight({DType::F16, {6, 128}}, 1);
  const auto rowwise = quantize(source, {{4, 0}}, "w").value();
  EXPECT_EQ(to_string(rowwise.codes->type()), "int4[6,128]");
  EXPECT_EQ(to_string(rowwise.scales->type()), "fp16[6,1]");
  const auto grouped = quantize(source, {{8, 32}}, "w").value();
  EXPECT_EQ(to_string(grouped.codes->type()), "int8[6,128]");
  EXPECT_EQ(to_string(grouped.scales->type()), "fp16[6,4]");
  const WeightRef single = random_weight({DType::F32, {6, 128}}, 1);
  EXPECT_EQ(to_string(quantize(single, {{4, 64}}, "w")->scales->type()), "fp32[6,2]");
}

TEST(QuantizedWeight, RowsReadAlikeInAnyBlocksAndOrder) {
  // Rows of 80 KB: blocks inside the quantiser are shorter than the requests.
  for (const DType dtype : {DType::F16, DType::F32}) {
    const WeightRef source = random_weight({dtype, {7, 40960}}, 3);
    const auto whole = quantize(source, {{4, 32}}, "w").value();
    const auto codes = rows_of(*whole.codes, 0, 7);
    const auto scales = rows_of(*whole.scales, 0, 7);
    const auto again = quantize(source, {{4, 32}}, "w").value();
    // Scales before any codes, then codes in pieces, scales in between and after.
    EXPECT_EQ(rows_of(*again.scales, 0, 7), scales);
    for (const int64_t first : {0, 3, 5, 2}) {
      const int64_t count = first == 0 ? 3 : 2;
      const auto part = rows_of(*again.codes, first, count);
      const auto begin = codes.begin() + static_cast<int64_t>(whole.codes->row_bytes()) * first;
      EXPECT_TRUE(std::equal(part.begin(), part.end(), begin));
      const auto part_scales = rows_of(*again.scales, first, count);
      const auto at = scales.begin() + static_cast<int64_t>(whole.scales->row_bytes()) * first;
      EXPECT_TRUE(std::equal(part_scales.begin(), part_scales.end(), at));
    }
    EXPECT_EQ(rows_of(*again.scales, 0, 7), scales);
  }
}

TEST(QuantizedWeight, SourcesAreRoundedToTheirOwnTypeFirst) {
  const WeightRef wide = random_weight({DType::F32, {4, 64}}, 9);
  const auto from_cast = quantize(cast(wide, DType::F16), {{4, 0}}, "w").value();
  const WeightRef rounded =
      memory_weight({DType::F16, {4, 64}}, read_all(*packed_source(cast(wide, DType::F16))).value())
          .value();
  EXPECT_EQ(rows_of(*from_cast.codes, 0, 4),
            rows_of(*quantize(rounded, {{4, 0}}, "w")->codes, 0, 4));
}

TEST(QuantizedWeight, DigestFollowsTheRecipe) {
  DigestCache cache;
  const WeightRef source = random_weight({DType::F16, {4, 128}}, 1);
  const WeightRef other = random_weight({DType::F16, {4, 128}}, 2);
  const auto a = quantize(source, {{4, 0}}, "a").value();
  const auto b = quantize(source, {{4, 0}}, "b").value();
  EXPECT_EQ(a.codes->digest(cache), b.codes->digest(cache));
  EXPECT_EQ(a.scales->digest(cache), b.scales->digest(cache));
  const auto digests = {a.codes->digest(cache), a.scales->digest(cache),
                        quantize(source, {{8, 0}}, "w")->codes->digest(cache),
                        quantize(source, {{4, 64}}, "w")->codes->digest(cache),
                        quantize(other, {{4, 0}}, "w")->codes->digest(cache)};
  EXPECT_EQ(std::set<Digest>(digests).size(), 5u);
}

TEST(QuantizedWeight, NonFiniteSourcesFailWhenReadNamingTensorAndRow) {
  std::vector<double> values(3 * 32, 1.0);
  values[2 * 32 + 7] = std::numeric_limits<double>::infinity();
  const WeightRef source = constant_floats(DType::F16, {3, 32}, values);
  const auto quantized = quantize(source, {{4, 0}}, "layers.0.attention.wq.weight").value();
  std::vector<std::byte> out(3 * 32);
  const Status status = quantized.codes->read_rows(0, 3, out);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().to_string(),
            "layers.0.attention.wq.weight fp16[3,32]: row 2 holds an infinite or NaN value, which "
            "cannot be quantised; correct the checkpoint or export in fp32 if the value exceeds "
            "fp16");
  EXPECT_FALSE(read_floats(*quantized.scales).has_value());
}

TEST(QuantizedWeight, RefusesWhatCannotBeQuantised) {
  const WeightRef matrix = random_weight({DType::F16, {4, 192}}, 1);
  const auto text = [](const Result<QuantizedWeight>& result) {
    return result ? std::string("success") : result.error().to_string();
  };
  EXPECT_EQ(text(quantize(matrix, {{3, 0}}, "w")), "quantisation to 3 bits: expected 4 or 8");
  EXPECT_EQ(text(quantize(matrix, {{4, 16}}, "w")),
            "quantisation in groups of 16: expected 32, 64, 128 or 0 (a whole row)");
  EXPECT_EQ(text(quantize(matrix, {{4, 128}}, "w")),
            "w fp16[4,192]: groups of 128 do not divide the width 192; the nearest valid group is "
            "64");
  EXPECT_EQ(text(quantize(random_weight({DType::F16, {4, 172}}, 1), {{4, 32}}, "w")),
            "w fp16[4,172]: groups of 32 do not divide the width 172; the nearest valid group is 0 "
            "(a whole row)");
  EXPECT_THAT(text(quantize(random_weight({DType::F16, {64}}, 1), {{4, 0}}, "w")),
              HasSubstr("expected an fp16 or fp32 matrix to quantise, found fp16[64]"));
  EXPECT_THAT(text(quantize(random_weight({DType::Int8, {4, 64}}, 1), {{4, 0}}, "w")),
              HasSubstr("found int8[4,64]"));
}

TEST(Cache, GivesTheSameWeightsForTheSameRequest) {
  Cache cache;
  const WeightRef source = random_weight({DType::F16, {4, 64}}, 1);
  const auto first = cache.quantize(source, {{4, 0}}, "w").value();
  EXPECT_EQ(cache.quantize(source, {{4, 0}}, "w")->codes, first.codes);
  EXPECT_EQ(cache.quantize(source, {{4, 0}}, "w")->scales, first.scales);
  EXPECT_NE(cache.quantize(source, {{8, 0}}, "w")->codes, first.codes);
  EXPECT_NE(cache.quantize(source, {{4, 32}}, "w")->codes, first.codes);
}

}  // namespace
}  // namespace diptych::quant
