// The tables of formats and algorithms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "base/half.h"
#include "quant/algorithm.h"
#include "quant/format.h"
#include "testing/shared_data.h"

namespace diptych::quant {
namespace {

constexpr Algorithm kAll[] = {Algorithm::Rtn, Algorithm::Mse, Algorithm::Gptq};

TEST(Formats, AreValidAndHaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const NamedFormat& row : named_formats()) {
    names.insert(row.name);
    EXPECT_TRUE(check(row.format)) << row.name;
    for (const NamedFormat& other : named_formats()) {
      EXPECT_EQ(row.format == other.format, row.name == other.name) << row.name;
    }
  }
  EXPECT_EQ(names.size(), named_formats().size());
  EXPECT_TRUE(names.contains("c4w"));
}

TEST(Formats, CodesOfTwosComplement) {
  EXPECT_EQ(lowest_code(4), -8);
  EXPECT_EQ(highest_code(4), 7);
  EXPECT_EQ(half_range(4), 7.5f);
  EXPECT_EQ(code_type(4), DType::Int4);
  EXPECT_EQ(lowest_code(8), -128);
  EXPECT_EQ(highest_code(8), 127);
  EXPECT_EQ(half_range(8), 127.5f);
  EXPECT_EQ(code_type(8), DType::Int8);
}

TEST(Algorithms, RowsStandWhereTheirAlgorithmPoints) {
  for (const Algorithm algorithm : kAll) {
    EXPECT_EQ(info(algorithm).algorithm, algorithm);
    EXPECT_EQ(algorithm_from_name(name(algorithm)).value(), algorithm);
    // What needs no inputs is its own replacement; what takes the place of another needs none.
    EXPECT_EQ(info(algorithm).without_inputs == algorithm, !needs_inputs(algorithm));
    EXPECT_FALSE(needs_inputs(info(algorithm).without_inputs));
  }
  EXPECT_EQ(algorithm_from_name("best").error().message,
            "no quantisation algorithm is named \"best\"; there are rtn, mse, gptq");
}

TEST(Algorithms, KeepTheContractOfARow) {
  std::vector<uint16_t> halves(64);
  std::vector<float> weights(64);
  for (size_t i = 0; i < weights.size(); ++i) {
    halves[i] = float_to_half(static_cast<float>(i * 37 % 64) / 100 - 0.3f);
    weights[i] = half_to_float(halves[i]);
  }
  for (const Algorithm algorithm : kAll) {
    if (needs_inputs(algorithm)) continue;
    const QuantizeRow quantize_row = info(algorithm).quantize_row;
    for (const DType dtype : {DType::F16, DType::F32}) {
      const SourceRow row{weights, dtype, dtype == DType::F16 ? halves.data() : nullptr};
      std::vector<int8_t> codes(64);
      std::vector<float> scales(2), only_scales(2);
      ASSERT_TRUE(quantize_row(row, 4, scales, codes.data()));
      ASSERT_TRUE(quantize_row(row, 4, only_scales, nullptr));
      EXPECT_EQ(scales, only_scales);
      for (const float scale : scales) {
        EXPECT_GT(scale, 0);
        EXPECT_EQ(scale, dtype == DType::F16 ? round_to_half(scale) : scale);
      }
      for (size_t i = 0; i < weights.size(); ++i) {
        EXPECT_NEAR(scales[i / 32] * codes[i], weights[i], 1.1f * scales[i / 32])
            << name(algorithm) << " " << i;
      }
    }
    std::vector<float> bad = weights, scales(2);
    bad[40] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(quantize_row({bad, DType::F32, nullptr}, 4, scales, nullptr)) << name(algorithm);
  }
}

}  // namespace
}  // namespace diptych::quant
