#include "tensor/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "base/half.h"

namespace diptych {
namespace {

// Compares both implementations over `count` elements that fill(i) gives as bits of type T.
template <class T, class Fill>
void expect_same(DType from, DType to, size_t count, Fill fill) {
  std::vector<T> in(count);
  for (size_t i = 0; i < count; ++i) in[i] = static_cast<T>(fill(i));
  const size_t width = static_cast<size_t>(bit_width(to)) / 8;
  std::vector<std::byte> expected(count * width), found(count * width + 1);
  const auto* bytes = reinterpret_cast<const std::byte*>(in.data());
  convert_floats_reference(bytes, from, count, expected.data(), to);
  convert_floats(bytes, from, count, found.data() + 1, to);  // at an odd address
  if (std::equal(expected.begin(), expected.end(), found.begin() + 1)) return;
  for (size_t i = 0; i < count * width; ++i) {
    ASSERT_EQ(expected[i], found[i + 1])
        << name(from) << " to " << name(to) << ": element " << i / width << ", bits " << std::hex
        << uint64_t{in[i / width]};
  }
}

TEST(Convert, EverySixteenBitPatternIsAsTheReference) {
  for (const DType from : {DType::F16, DType::BF16}) {
    for (const DType to : {DType::F16, DType::BF16, DType::F32, DType::F64}) {
      expect_same<uint16_t>(from, to, 1 << 16, [](size_t i) { return i; });
    }
  }
}

// All signs, exponents and upper mantissas, each with the lower bits at which rounding changes.
TEST(Convert, Fp32IsRoundedAsTheReference) {
  constexpr uint32_t kLow[] = {0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF};
  for (const DType to : {DType::F16, DType::BF16, DType::F64}) {
    for (const uint32_t low : kLow) {
      expect_same<uint32_t>(DType::F32, to, 1 << 19, [&](size_t i) { return i << 13 | low; });
    }
    expect_same<uint32_t>(DType::F32, to, 1 << 20, [](size_t i) { return i * 0x9E3779B9u; });
  }
}

TEST(Convert, AnyNumberOfElementsIsConverted) {
  for (size_t count = 0; count < 40; ++count) {
    expect_same<uint16_t>(DType::BF16, DType::F16, count, [](size_t i) { return 0x3F00 + 7 * i; });
    expect_same<uint32_t>(DType::F32, DType::F32, count, [](size_t i) { return i; });
  }
}

TEST(Convert, Fp64IsRoundedByWayOfFp32) {
  const double values[] = {1.0, 1e300, 65504.0, 1e-8, -0.1};
  uint16_t halves[5];
  convert_floats(reinterpret_cast<const std::byte*>(values), DType::F64, 5,
                 reinterpret_cast<std::byte*>(halves), DType::F16);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(halves[i], float_to_half(static_cast<float>(values[i])));
  }
}

}  // namespace
}  // namespace diptych
