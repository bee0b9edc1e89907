#include "tensor/finite_cast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <limits>

#include "testing/shared_data.h"

namespace diptych {
namespace {

using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// What reading all of `values` stored as `from` and cast to `to` fails with, and their digest.
std::string refusal(const std::vector<double>& values, DType from, DType to) {
  const auto count = static_cast<int64_t>(values.size());
  const WeightRef weight = finite_cast(constant_floats(from, {count}, values), to, "t");
  const auto floats = read_floats(*weight);
  const std::string text = floats ? "" : floats.error().to_string();
  DigestCache digests;
  weight->digest(digests);
  EXPECT_EQ(digests.failure ? "" : digests.failure.error().to_string(), text);
  return text;
}

// Wherever it stands: in a group of words, in the rest, at the end.
TEST(FiniteCast, FindsOneValueAtEveryPlace) {
  for (const DType from : {DType::F16, DType::BF16, DType::F32}) {
    for (const DType to : {DType::F16, DType::F32}) {
      for (size_t count : {1, 2, 3, 5, 16, 17, 37}) {
        std::vector<double> values(count, -1.5);
        EXPECT_EQ(refusal(values, from, to), "");
        for (size_t at = 0; at < count; ++at) {
          for (const double bad : {kNan, -kNan, kInfinity, -kInfinity}) {
            values[at] = bad;
            EXPECT_THAT(refusal(values, from, to), HasSubstr("1 of ")) << count << " " << at;
          }
          values[at] = -1.5;
        }
      }
    }
  }
}

TEST(FiniteCast, CountsAndSaysWhatHelps) {
  EXPECT_EQ(refusal({1, kNan, kInfinity, 1e6, kNan}, DType::F32, DType::F16),
            "t fp32[5]: 4 of 5 values cannot be stored in fp16: 2 NaN, 1 infinite, 1 beyond fp16, "
            "whose largest is 65504 (up to 1e+06); correct the checkpoint");
  EXPECT_THAT(refusal({65519.9, 65520}, DType::F32, DType::F16), HasSubstr("1 of 2 values"));
  EXPECT_EQ(refusal({65504, 65519.9, 6e-8, 0}, DType::F32, DType::F16), "");
  EXPECT_EQ(refusal({3e38}, DType::F32, DType::F32), "");
}

TEST(FiniteCast, IsTheCastOtherwise) {
  const WeightRef source = random_weight({DType::BF16, {40, 30}}, 3);
  const WeightRef plain = cast(source, DType::F16);
  const WeightRef checked = finite_cast(source, DType::F16, "t");
  EXPECT_EQ(read_floats(*checked).value(), read_floats(*plain).value());
  DigestCache cache;
  EXPECT_EQ(checked->digest(cache), plain->digest(cache));
  const WeightRef same = finite_cast(plain, DType::F16, "t");
  EXPECT_EQ(same->digest(cache), plain->digest(cache));
}

}  // namespace
}  // namespace diptych
