// Blocks whose numbers were worked out by hand from the layout (docs/formats/gguf.md); the whole
// range of codes is compared with the ggml project's own code by the conformance suite.
#include "checkpoint/gguf_quants.h"

#include <gtest/gtest.h>

#include <map>

#include "base/half.h"
#include "tensor/stored_blocks.h"
#include "testing/shared_data.h"

namespace diptych::checkpoint {
namespace {

using Block = std::vector<std::byte>;

void put_half(Block& block, size_t at, float value) { store(&block[at], float_to_half(value)); }

const GgufType& type_of(std::string_view name) {
  return *std::find_if(kGgufTypes.begin(), kGgufTypes.end(),
                       [&](const GgufType& type) { return type.name == name; });
}

// What the parts of a matrix stand for.
std::vector<float> numbers_of_parts(const Weight& matrix) {
  const StoredBlocks blocks = stored_blocks(matrix).value();
  const auto codes = read_ints(*blocks.codes).value();
  const auto scales = read_floats(*blocks.scales).value();
  const auto minima = blocks.minima ? read_floats(*blocks.minima).value() : std::vector<float>();
  std::vector<float> values;
  for (size_t i = 0; i < codes.size(); ++i) {
    const size_t group = i / (codes.size() / scales.size());
    const float product = static_cast<float>(codes[i] - blocks.zero) * scales[group];
    values.push_back(minima.empty() ? product : product + minima[group]);
  }
  return values;
}

std::vector<float> numbers(std::string_view name, const Block& block) {
  const GgufType& type = type_of(name);
  const auto matrix = gguf_weight(type, {1, type.block}, block, nullptr);
  const std::vector<float> values = read_floats(**matrix).value();
  EXPECT_EQ(numbers_of_parts(**matrix), values);
  return values;
}

// All values are `rest` but those listed by index.
void expect_values(const std::vector<float>& values, size_t count, float rest,
                   const std::map<size_t, float>& others) {
  for (size_t i = 0; i < count; ++i) {
    const auto other = others.find(i);
    EXPECT_EQ(values[i], other == others.end() ? rest : other->second) << i;
  }
}

TEST(GgufQuants, BlocksOf32) {
  Block q4_0(18);
  put_half(q4_0, 0, 0.5f);
  q4_0[2] = std::byte{0xF1};  // codes 0 and 16
  expect_values(numbers("Q4_0", q4_0), 32, -4, {{0, -3.5f}, {16, 3.5f}});

  Block q4_1(20);
  put_half(q4_1, 0, 0.5f);
  put_half(q4_1, 2, -1);
  q4_1[4 + 15] = std::byte{0x2F};
  expect_values(numbers("Q4_1", q4_1), 32, -1, {{15, 6.5f}, {31, 0}});

  Block q5_0(22);
  put_half(q5_0, 0, 2);
  store<uint32_t>(&q5_0[2], uint32_t{1} << 3 | uint32_t{1} << 19);
  q5_0[6 + 3] = std::byte{0x21};
  expect_values(numbers("Q5_0", q5_0), 32, -32, {{3, 2}, {19, 4}});

  Block q5_1(24);
  put_half(q5_1, 0, 2);
  put_half(q5_1, 2, 1);
  store<uint32_t>(&q5_1[4], uint32_t{1} << 31);
  q5_1[8 + 15] = std::byte{0x3F};
  expect_values(numbers("Q5_1", q5_1), 32, 1, {{15, 31}, {31, 39}});

  Block q8_0(34);
  put_half(q8_0, 0, 0.25f);
  q8_0[2] = std::byte{0x80};
  q8_0[33] = std::byte{0x7F};
  expect_values(numbers("Q8_0", q8_0), 32, 0, {{0, -32}, {31, 31.75f}});
}

TEST(GgufQuants, SuperBlocksWithMinima) {
  for (const bool five : {false, true}) {
    Block block(five ? 176 : 144);
    const size_t codes = five ? 48 : 16;
    put_half(block, 0, 1);
    put_half(block, 2, 0.5f);
    // Sub-block 0: scale 63, minimum 2. Sub-block 5: scale 0x21 (high bits 2, low 1), minimum 0x34.
    block[4 + 0] = std::byte{63};
    block[4 + 4] = std::byte{2};
    block[4 + 1] = std::byte{0x80};                // two high bits of scale 5, over scale 1 = 0
    block[4 + 5] = std::byte{0xC0};                // two high bits of minimum 5, over minimum 1 = 0
    block[4 + 9] = std::byte{0x41};                // minimum 5 low nibble 4, scale 5 low nibble 1
    block[codes + 7] = std::byte{0x03};            // code 7 of sub-block 0
    block[codes + 2 * 32 + 31] = std::byte{0xA0};  // code 31 of sub-block 5
    float first = 3, second = 10;
    if (five) {
      block[16 + 7] = std::byte{1};        // fifth bit for sub-block 0
      block[16 + 31] = std::byte{1 << 5};  // and for sub-block 5
      first += 16, second += 16;
    }
    std::map<size_t, float> expected;
    for (size_t i = 0; i < 32; ++i) {
      expected[i] = -1;              // 63 * 0 - 0.5 * 2
      expected[5 * 32 + i] = -0x1A;  // 0x21 * 0 - 0.5 * 0x34
    }
    expected[7] = 63 * first - 1;
    expected[5 * 32 + 31] = 0x21 * second - 0x1A;
    expect_values(numbers(five ? "Q5_K" : "Q4_K", block), 256, 0, expected);
  }
}

TEST(GgufQuants, SuperBlocksOfSixBits) {
  Block block(210);
  put_half(block, 208, 0.5f);
  for (int i = 0; i < 16; ++i) block[192 + i] = std::byte{1};
  block[192 + 8 + 5] = std::byte{0xFE};  // second half, run 2, later 16 codes: scale -2
  block[64 + 20] = std::byte{0x70};      // second half: high nibble, run 2, code 20
  block[128 + 32 + 20] = std::byte{2 << 4};
  std::map<size_t, float> expected;
  for (size_t i = 16; i < 32; ++i) expected[128 + 64 + i] = 0.5f * -2 * -32;
  expected[128 + 64 + 20] = 0.5f * -2 * ((7 | 2 << 4) - 32);
  expect_values(numbers("Q6_K", block), 256, -16, expected);
}

TEST(GgufQuants, RowsAreReadOnTheirOwn) {
  const GgufType& q8_0 = type_of("Q8_0");
  Block data(4 * 2 * 34);
  for (size_t i = 0; i < data.size(); ++i) data[i] = std::byte(i % 61);
  const auto weight = gguf_weight(q8_0, {4, 64}, data, nullptr);
  ASSERT_OK(weight);
  EXPECT_EQ((*weight)->type(), (TensorType{DType::F32, {4, 64}}));
  const auto all = read_floats(**weight).value();
  const auto middle = read_floats(**weight, 1, 2).value();
  EXPECT_TRUE(std::equal(middle.begin(), middle.end(), all.begin() + 64));
  EXPECT_FALSE(gguf_weight(q8_0, {4, 63}, data, nullptr));
  EXPECT_FALSE(gguf_weight(q8_0, {5, 64}, data, nullptr));
  DigestCache cache;
  const Digest digest = (*weight)->digest(cache);
  data[7] ^= std::byte{1};
  DigestCache fresh;
  EXPECT_NE((*weight)->digest(fresh), digest);
}

}  // namespace
}  // namespace diptych::checkpoint
