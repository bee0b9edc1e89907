// Matrices of GGUF's types, kept as they are quantised: equal to what they stand for where scales
// alone say it, else within what fp16 scales and offsets lose.
#include "quant/keep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/half.h"
#include "checkpoint/gguf_quants.h"
#include "quant/cache.h"
#include "tensor/finite_cast.h"
#include "tensor/stored_blocks.h"
#include "tensor/views.h"
#include "testing/shared_data.h"

namespace diptych::quant {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kRows = 8, kColumns = 512;

struct Type {
  std::string_view name;
  std::vector<size_t> halves;  // places of fp16 numbers in a block
  Format format;
  bool offsets;
  bool exact;  // in fp16
};
const Type kTypes[] = {
    {"Q4_0", {0}, {4, 32, Kind::Kept}, false, true},
    {"Q8_0", {0}, {8, 32, Kind::Kept}, false, true},
    {"Q5_0", {0}, {8, 32, Kind::Kept}, false, true},
    {"Q4_1", {0, 2}, {4, 32, Kind::Kept}, true, false},
    {"Q5_1", {0, 2}, {8, 32, Kind::Kept}, true, false},
    {"Q4_K", {0, 2}, {4, 32, Kind::Kept}, true, false},
    {"Q5_K", {0, 2}, {8, 32, Kind::Kept}, true, false},
    {"Q6_K", {208}, {8, 16, Kind::Kept}, false, false},
};

const checkpoint::GgufType& gguf_type(std::string_view name) {
  for (const checkpoint::GgufType& type : checkpoint::kGgufTypes) {
    if (type.name == name) return type;
  }
  std::abort();
}

// Blocks of random bits whose fp16 numbers are `number`, a little more from block to block.
WeightRef matrix_of(const Type& type, float number = 0.01f) {
  const checkpoint::GgufType& gguf = gguf_type(type.name);
  const size_t blocks = kRows * kColumns / gguf.block;
  auto bytes = std::make_shared<std::vector<std::byte>>(blocks * gguf.bytes);
  std::mt19937 random(5);
  for (std::byte& b : *bytes) b = std::byte(random() & 255);
  for (size_t i = 0; i < blocks; ++i) {
    const float some = number * (1 + static_cast<float>(i % 64) / 64);
    for (const size_t at : type.halves) {
      // Minima of blocks of 32 are added: those of weights are below 0.
      const bool minimum = at == 2 && gguf.block == 32;
      store(bytes->data() + i * gguf.bytes + at, float_to_half(minimum ? -7 * some : some));
    }
  }
  return checkpoint::gguf_weight(gguf, {kRows, kColumns}, *bytes, bytes).value();
}

std::vector<float> values_of(const QuantizedWeight& kept) {
  const auto codes = read_ints(*kept.codes).value();
  const auto scales = read_floats(*kept.scales).value();
  const auto offsets = kept.offsets ? read_floats(*kept.offsets).value() : std::vector<float>();
  std::vector<float> values;
  for (size_t i = 0; i < codes.size(); ++i) {
    const size_t group = i / (codes.size() / scales.size());
    values.push_back(scales[group] *
                     (static_cast<float>(codes[i]) - (offsets.empty() ? 0 : offsets[group])));
  }
  return values;
}

TEST(Keep, EveryTypeIsWhatItStandsFor) {
  for (const Type& type : kTypes) {
    SCOPED_TRACE(type.name);
    const WeightRef matrix = matrix_of(type);
    const auto want = read_floats(*matrix).value();
    for (const DType dtype : {DType::F16, DType::F32}) {
      const WeightRef source = finite_cast(matrix, dtype, "w");
      EXPECT_EQ(kept_format(*source), type.format);
      ASSERT_OK(check_kept(source, "w"));
      const auto kept = quantize(source, {type.format}, "w");
      ASSERT_OK(kept);
      EXPECT_EQ(kept->offsets != nullptr, type.offsets);
      EXPECT_EQ(kept->scales->dtype(), dtype);
      const auto got = values_of(*kept);
      float largest = 0, magnitude = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        largest = std::max(largest, std::fabs(got[i] - want[i]));
        magnitude = std::max(magnitude, std::fabs(want[i]));
      }
      EXPECT_NEAR(kept->error->total().largest, largest, 1e-7 * magnitude);
      if (type.exact || (dtype == DType::F32 && !type.offsets)) {
        EXPECT_EQ(got, want);
        EXPECT_EQ(kept->error->total().largest, 0);
      } else {
        EXPECT_LT(largest, (dtype == DType::F16 ? 0x1p-9f : 0x1p-20f) * magnitude);
      }
    }
  }
}

// As a model's weights are brought to their places.
TEST(Keep, FormsSurviveViews) {
  for (const Type& type : kTypes) {
    SCOPED_TRACE(type.name);
    const WeightRef source =
        finite_cast(halves_to_pairs(row_slice(matrix_of(type), 0, 4), 4, 4), DType::F32, "w");
    const auto kept = keep(row_slice(source, 1, 3), "w");
    ASSERT_OK(kept);
    const auto want = read_floats(*source, 1, 3).value(), got = values_of(*kept);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5) << i;
    // A slice of what was kept is what a slice keeps.
    Cache cache;
    const Quantization how{type.format};
    ASSERT_OK(cache.quantize(source, how, "w"));
    const auto slice = cache.quantize(row_slice(source, 1, 3), how, "w_1");
    ASSERT_OK(slice);
    EXPECT_EQ(values_of(*slice), got);
  }
}

// A scale of 0 leaves blocks of one number.
TEST(Keep, BlocksOfOneNumberStayIt) {
  const checkpoint::GgufType& gguf = gguf_type("Q4_1");
  std::vector<std::byte> block(gguf.bytes, std::byte{0x5A});
  store(block.data(), float_to_half(0));
  store(block.data() + 2, float_to_half(-0.375f));
  const WeightRef source = checkpoint::gguf_weight(gguf, {1, 32}, block, nullptr).value();
  const auto kept = keep(finite_cast(source, DType::F16, "w"), "w");
  ASSERT_OK(kept);
  EXPECT_EQ(values_of(*kept), std::vector<float>(32, -0.375f));
}

TEST(Keep, RefusesWhatTheTypeCannotHold) {
  const checkpoint::GgufType& gguf = gguf_type("Q4_1");
  std::vector<std::byte> block(gguf.bytes);
  store(block.data(), float_to_half(0x1p-20f));
  store(block.data() + 2, float_to_half(-1));
  const WeightRef source = checkpoint::gguf_weight(gguf, {1, 32}, block, nullptr).value();
  const auto offset = check_kept(finite_cast(source, DType::F16, "some.weight"), "some.weight");
  ASSERT_FALSE(offset.has_value());
  EXPECT_THAT(offset.error().message,
              AllOf(HasSubstr("some.weight"), HasSubstr("the offset"), HasSubstr("b4w")));
  EXPECT_EQ(offset.error().hint, Hint{Advice::WiderType});
  ASSERT_OK(check_kept(finite_cast(source, DType::F32, "w"), "w"));

  // 4000 * 127 exceeds fp16; so may a number whose scale does not.
  const Type& six = kTypes[7];
  EXPECT_FALSE(check_kept(finite_cast(matrix_of(six, 4000), DType::F16, "w"), "w").has_value());
  const auto numbers = keep(finite_cast(matrix_of(kTypes[1], 2000), DType::F16, "w"), "w");
  ASSERT_OK(numbers);
  std::vector<std::byte> codes(kRows * kColumns);
  EXPECT_THAT(numbers->codes->read_rows(0, kRows, codes).error().message,
              HasSubstr("numbers beyond fp16"));
}

TEST(Keep, PlainWeightsHaveNothingToKeep) {
  const WeightRef plain = random_weight({DType::F16, {4, 64}}, 1);
  EXPECT_EQ(kept_format(*plain), std::nullopt);
  EXPECT_FALSE(keep(plain, "w").has_value());
}

}  // namespace
}  // namespace diptych::quant
