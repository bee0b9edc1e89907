#include "engine/vector_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/bytes.h"
#include "base/half.h"
#include "engine_test_util.h"
#include "every_target.h"

namespace diptych::engine {
namespace {

class VectorOps : public EveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, VectorOps, every_target(), target_name);

bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

TEST_P(VectorOps, HalvesToFloatsIsExactForEveryPattern) {
  std::vector<std::byte> halves(2 * 65536 + 1);
  for (int i = 0; i < 65536; ++i) store(&halves[1 + 2 * i], static_cast<uint16_t>(i));
  std::vector<float> floats(65536);
  halves_to_floats(halves.data() + 1, floats.size(), floats.data());
  for (int i = 0; i < 65536; ++i) {
    const float want = half_to_float(static_cast<uint16_t>(i));
    // A NaN may have become a quiet one.
    ASSERT_TRUE(same_bits(floats[i], want) || (std::isnan(floats[i]) && std::isnan(want))) << i;
  }
}

TEST_P(VectorOps, HalvesToFloatsOfEveryLength) {
  std::vector<std::byte> halves(2 * 70);
  for (int i = 0; i < 70; ++i) store(&halves[2 * i], float_to_half(static_cast<float>(i)));
  for (size_t n = 0; n <= 70; ++n) {
    std::vector<float> floats(n + 1, -1.0f);
    halves_to_floats(halves.data(), n, floats.data());
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(floats[i], static_cast<float>(i));
    EXPECT_EQ(floats[n], -1.0f);
  }
}

// Around every fp16 value: itself, its float neighbours, and the midpoints to its neighbours.
std::vector<float> values_around_halves() {
  std::vector<float> values;
  for (uint32_t h = 0; h < 65536; ++h) {
    const uint32_t sign = h & 0x8000;
    const float here = half_to_float(static_cast<uint16_t>(h));
    if (std::isnan(here)) continue;
    const float next =
        half_to_float(static_cast<uint16_t>(sign | (std::min(h & 0x7FFF, 0x7BFEu) + 1)));
    const float middle = here / 2 + next / 2;
    for (const float v : {here, middle}) {
      values.push_back(v);
      values.push_back(std::nextafter(v, std::numeric_limits<float>::infinity()));
      values.push_back(std::nextafter(v, -std::numeric_limits<float>::infinity()));
    }
  }
  for (const float v : {65519.996f, 65520.0f, 1e30f, 3.4e38f, 1e-40f}) {
    values.push_back(v);
    values.push_back(-v);
  }
  return values;
}

TEST_P(VectorOps, QuantizesAndBackAsOneByOne) {
  std::vector<float> x = random_values(70, 3);
  for (float& v : x) v *= 100;
  x.insert(x.end(), {0.75f, -0.75f, 0.25f, 1e30f, -1e30f, std::numeric_limits<float>::infinity(),
                     -std::numeric_limits<float>::infinity(),
                     std::numeric_limits<float>::quiet_NaN(), -0.0f});
  const Steps steps{0.5f, 3, -128, 127};
  for (size_t n = 0; n <= x.size(); ++n) {
    std::vector<int32_t> codes(n + 1, 99);
    floats_to_steps(x.data(), n, steps, codes.data());
    std::vector<float> back(n + 1, 99);
    steps_to_floats(codes.data(), n, steps, back.data());
    for (size_t i = 0; i < n; ++i) {
      const float count = x[i] / steps.scale;
      const float near = std::isnan(count) ? 0 : std::nearbyint(count);
      const float expected = std::clamp(near + steps.zero, steps.low, steps.high);
      ASSERT_EQ(codes[i], static_cast<int32_t>(expected)) << x[i];
      ASSERT_EQ(back[i], steps.scale * (expected - steps.zero)) << x[i];
    }
    EXPECT_EQ(codes[n], 99);
    EXPECT_EQ(back[n], 99);
  }
}

TEST_P(VectorOps, RoundToHalvesEqualsTheScalarRounding) {
  const std::vector<float> values = values_around_halves();
  std::vector<float> rounded = values;
  const uint64_t overflows = round_to_halves(rounded.data(), rounded.size());
  uint64_t expected = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const float want = round_to_half(values[i]);
    expected += std::isinf(want) && !std::isinf(values[i]);
    ASSERT_TRUE(same_bits(rounded[i], want)) << values[i] << " gave " << rounded[i];
  }
  EXPECT_EQ(overflows, expected);
  EXPECT_GT(expected, 0u);
}

TEST_P(VectorOps, FloatsToHalvesEqualsTheScalarRounding) {
  std::vector<float> values = values_around_halves();
  uint64_t expected = 0;
  for (const float v : values) expected += std::isinf(round_to_half(v)) && !std::isinf(v);
  for (const float sign : {1.0f, -1.0f}) {
    values.push_back(std::copysign(std::numeric_limits<float>::quiet_NaN(), sign));
  }
  for (size_t left = 0; left < 9; ++left) {  // of every remainder
    const size_t n = values.size() - left;
    std::vector<std::byte> halves(1 + 2 * n);
    const uint64_t overflows = floats_to_halves(values.data(), n, halves.data() + 1);
    if (left == 0) {
      EXPECT_EQ(overflows, expected);
    }
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(load<uint16_t>(&halves[1 + 2 * i]), float_to_half(values[i])) << values[i];
    }
  }
}

TEST_P(VectorOps, RoundToHalvesKeepsNaNAndCountsOnlyWhatIsThere) {
  for (size_t n = 0; n <= 40; ++n) {
    std::vector<float> values(n + 1, 70000.0f);
    if (n > 0) values[n / 2] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(round_to_halves(values.data(), n), n > 0 ? n - 1 : 0);
    EXPECT_EQ(values[n], 70000.0f);
    EXPECT_TRUE(n == 0 || std::isnan(values[n / 2]));
  }
}

TEST_P(VectorOps, DotRowsOfEveryLength) {
  for (size_t n = 0; n <= 140; ++n) {
    const size_t rows = 1 + n % 5, stride = n + n % 3;
    const auto w = random_values(n, 1), x = random_values(rows * stride + 1, 2);
    std::vector<float> out(rows * 2, -7.0f);
    dot_rows(w.data(), x.data(), stride, rows, n, out.data(), 2);
    for (size_t r = 0; r < rows; ++r) {
      double expected = 0, size = 0;
      for (size_t k = 0; k < n; ++k) {
        const double product = static_cast<double>(w[k]) * x[r * stride + k];
        expected += product;
        size += std::abs(product);
      }
      EXPECT_NEAR(out[2 * r], expected, 1e-6 * size) << n;
      EXPECT_EQ(out[2 * r + 1], -7.0f);
      // Alone, a row gives the same bits.
      float alone = 0;
      dot_rows(w.data(), x.data() + r * stride, stride, 1, n, &alone, 1);
      EXPECT_TRUE(same_bits(alone, out[2 * r])) << n;
    }
  }
}

TEST_P(VectorOps, WeightedSumOfEveryLength) {
  for (size_t n = 1; n <= 140; ++n) {
    const size_t rows = n % 7, stride = n + n % 4;
    const auto p = random_values(rows, 3), v = random_values(rows * stride + 1, 4);
    std::vector<float> out(n + 1, -7.0f);
    weighted_sum(p.data(), v.data(), stride, rows, n, out.data());
    for (size_t j = 0; j < n; ++j) {
      double expected = 0;
      for (size_t i = 0; i < rows; ++i) expected += static_cast<double>(p[i]) * v[i * stride + j];
      EXPECT_NEAR(out[j], expected, 1e-5) << n;
    }
    EXPECT_EQ(out[n], -7.0f);
  }
}

TEST_P(VectorOps, SumOfEveryLength) {
  for (size_t n = 0; n <= 70; ++n) {
    const auto x = random_values(n, 5);
    double expected = 0;
    for (const float v : x) expected += v;
    EXPECT_NEAR(sum(x.data(), n), expected, 1e-5);
  }
}

// One element of the packed bytes, the slow way.
int quantized_at(const std::vector<std::byte>& bytes, uint64_t i, bool nibbles, bool is_signed) {
  if (nibbles) {
    const int nibble = (static_cast<int>(bytes[i / 2]) >> (i % 2 * 4)) & 15;
    return is_signed && nibble >= 8 ? nibble - 16 : nibble;
  }
  const int byte = static_cast<int>(bytes[i]);
  return is_signed && byte >= 128 ? byte - 256 : byte;
}

TEST_P(VectorOps, DequantizeEveryLengthStartAndBlock) {
  using Function = uint64_t (*)(const std::byte*, uint64_t, size_t, const BlockScales&, float*);
  struct Case {
    Function function;
    bool nibbles, is_signed;
  };
  std::vector<std::byte> bytes(300);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 73 + 41);
  const auto scales = random_values(300, 6), offsets = random_values(300, 7);
  for (const Case& c : {Case{dequantize_int4, true, true}, Case{dequantize_uint4, true, false},
                        Case{dequantize_int8, false, true}, Case{dequantize_uint8, false, false}}) {
    for (const size_t n : {1, 7, 31, 32, 33, 64, 96, 101, 160}) {
      for (const size_t first : {0, 1, 2, 5, 64, 131}) {
        for (size_t block = 1; block <= n; ++block) {
          if (n % block != 0) continue;
          for (const bool round : {false, true}) {
            const bool shifted = first % 2 == 1;
            const BlockScales row{scales.data(), shifted ? offsets.data() : nullptr, block, round};
            std::vector<float> out(n + 1, -7.0f);
            EXPECT_EQ(c.function(bytes.data(), first, n, row, out.data()), 0u);
            EXPECT_EQ(out[n], -7.0f);
            for (size_t i = 0; i < n; ++i) {
              const auto q =
                  static_cast<float>(quantized_at(bytes, first + i, c.nibbles, c.is_signed));
              const float offset = shifted ? offsets[i / block] : 0.0f;
              float want = (q - offset) * scales[i / block];
              if (round) want = round_to_half(want);
              ASSERT_EQ(out[i], want) << "n " << n << " first " << first << " block " << block;
            }
          }
        }
      }
    }
  }
}

TEST_P(VectorOps, DequantizeCountsOverflowsOfItsOwnElements) {
  const std::vector<std::byte> bytes(40, std::byte{0x71});  // low nibble 1, high nibble 7
  const float scale = 20000;                                // 7 * 20000 overflows, 1 * 20000 not
  for (size_t n = 1; n <= 70; ++n) {
    std::vector<float> out(n);
    const BlockScales row{&scale, nullptr, n, true};
    EXPECT_EQ(dequantize_int4(bytes.data(), 0, n, row, out.data()), n / 2);
    EXPECT_EQ(dequantize_int8(bytes.data(), 0, std::min<size_t>(n, 40), row, out.data()),
              std::min<size_t>(n, 40));
  }
}

}  // namespace
}  // namespace diptych::engine
