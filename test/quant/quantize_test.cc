#include "quant/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "quant_testing.h"
#include "testing/shared_data.h"

namespace diptych::quant {
namespace {

using ::testing::HasSubstr;

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

TEST(QuantizedWeight, OfEveryAlgorithmReadsTheSameInAnyBlocksAndMeasuresItsError) {
  const WeightRef source = matrix(7, 128, 9);
  double error_of_rtn = 0;
  for (const Algorithm algorithm : {Algorithm::Rtn, Algorithm::Mse}) {
    const Quantization how{{4, 64}, algorithm};
    const QuantizedWeight whole = quantize(source, how, "w").value();
    const auto codes = read_ints(*whole.codes).value();
    const auto scales = read_floats(*whole.scales).value();
    double squares = 0, source_squares = 0;
    const auto w = read_floats(*source).value();
    for (size_t i = 0; i < w.size(); ++i) {
      squares += std::pow(static_cast<double>(w[i]) -
                              static_cast<double>(scales[i / 64]) * static_cast<double>(codes[i]),
                          2);
      source_squares += std::pow(static_cast<double>(w[i]), 2);
    }
    EXPECT_NEAR(whole.error->total().relative(), std::sqrt(squares / source_squares), 1e-5);
    if (algorithm == Algorithm::Rtn) error_of_rtn = squares;
    if (algorithm == Algorithm::Mse) {
      EXPECT_LT(squares, error_of_rtn);
    }
    const QuantizedWeight again = quantize(source, how, "w").value();
    EXPECT_EQ(read_floats(*again.scales, 2, 3).value(),
              std::vector<float>(scales.begin() + 4, scales.begin() + 10));
    std::vector<std::byte> rows(3 * 128);
    ASSERT_OK(again.codes->read_rows(2, 3, rows));
    for (size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(static_cast<int8_t>(rows[i]), codes[2 * 128 + i]);
    }
  }
}

TEST(QuantizedWeight, OfEveryAlgorithmHasADigestOfItsOwn) {
  DigestCache cache;
  const WeightRef source = random_weight({DType::F16, {4, 64}}, 1);
  const auto rtn = quantize(source, {{4, 0}, Algorithm::Rtn}, "w").value();
  const auto mse = quantize(source, {{4, 0}, Algorithm::Mse}, "w").value();
  EXPECT_NE(rtn.codes->digest(cache), mse.codes->digest(cache));
}

}  // namespace
}  // namespace diptych::quant
