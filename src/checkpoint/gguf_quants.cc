#include "checkpoint/gguf_quants.h"

#include <algorithm>

#include "base/half.h"

namespace diptych::checkpoint {

namespace {

float half_at(const std::byte* at) { return half_to_float(load<uint16_t>(at)); }
int low_nibble(std::byte b) { return std::to_integer<int>(b & std::byte{15}); }
int high_nibble(std::byte b) { return std::to_integer<int>(b >> 4); }
int bit(std::byte b, int place) { return std::to_integer<int>(b >> place) & 1; }

// --- Blocks of 32: a scale and perhaps a minimum, fp16, then the codes. Code i and code i + 16 are
// --- the nibbles of byte i.

void q4_0(const std::byte* block, float* out) {  // scale, 16 bytes
  const float scale = half_at(block);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(low_nibble(block[2 + i]) - 8) * scale;
    out[i + 16] = static_cast<float>(high_nibble(block[2 + i]) - 8) * scale;
  }
}

void q4_1(const std::byte* block, float* out) {  // scale, minimum, 16 bytes
  const float scale = half_at(block), minimum = half_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(low_nibble(block[4 + i])) * scale + minimum;
    out[i + 16] = static_cast<float>(high_nibble(block[4 + i])) * scale + minimum;
  }
}

// The fifth bits of all 32 codes are one 32-bit number.
int fifth_bit(uint32_t bits, int i) { return static_cast<int>(bits >> i & 1) << 4; }

void q5_0(const std::byte* block, float* out) {  // scale, fifth bits, 16 bytes
  const float scale = half_at(block);
  const auto fifth = load<uint32_t>(block + 2);
  for (int i = 0; i < 16; ++i) {
    const std::byte codes = block[6 + i];
    out[i] = static_cast<float>((low_nibble(codes) | fifth_bit(fifth, i)) - 16) * scale;
    out[i + 16] = static_cast<float>((high_nibble(codes) | fifth_bit(fifth, i + 16)) - 16) * scale;
  }
}

void q5_1(const std::byte* block, float* out) {  // scale, minimum, fifth bits, 16 bytes
  const float scale = half_at(block), minimum = half_at(block + 2);
  const auto fifth = load<uint32_t>(block + 4);
  for (int i = 0; i < 16; ++i) {
    const std::byte codes = block[8 + i];
    out[i] = static_cast<float>(low_nibble(codes) | fifth_bit(fifth, i)) * scale + minimum;
    out[i + 16] =
        static_cast<float>(high_nibble(codes) | fifth_bit(fifth, i + 16)) * scale + minimum;
  }
}

void q8_0(const std::byte* block, float* out) {  // scale, 32 signed bytes
  const float scale = half_at(block);
  for (int i = 0; i < 32; ++i) {
    out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * scale;
  }
}

// --- Blocks of 256, made of sub-blocks whose scales are small integers.

struct ScaleAndMinimum {
  float scale, minimum;
};

// Q4_K and Q5_K: eight pairs of 6-bit numbers in 12 bytes. Bytes 0-3 and 4-7 hold the scales and
// minima of sub-blocks 0-3 in six bits; the nibbles of bytes 8-11 the low four of the others, whose
// high two are the top bits of bytes 0-7.
ScaleAndMinimum sub_block(const std::byte* block, int j) {
  const float scale = half_at(block), minimum = half_at(block + 2);
  const std::byte* packed = block + 4;
  int a = 0, b = 0;
  if (j < 4) {
    a = std::to_integer<int>(packed[j]) & 63;
    b = std::to_integer<int>(packed[j + 4]) & 63;
  } else {
    a = low_nibble(packed[j + 4]) | (std::to_integer<int>(packed[j - 4]) >> 6) << 4;
    b = high_nibble(packed[j + 4]) | (std::to_integer<int>(packed[j]) >> 6) << 4;
  }
  return {scale * static_cast<float>(a), minimum * static_cast<float>(b)};
}

// Each 32 bytes of codes hold two sub-blocks, the first in the low nibbles.
void q4_k(const std::byte* block, float* out) {  // scale, minimum, 12 bytes of scales, 128 of codes
  for (int j = 0; j < 8; ++j) {
    const auto [scale, minimum] = sub_block(block, j);
    const std::byte* codes = block + 16 + j / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int code = j % 2 == 0 ? low_nibble(codes[i]) : high_nibble(codes[i]);
      *out++ = scale * static_cast<float>(code) - minimum;
    }
  }
}

// As Q4_K, with 32 bytes in front of the codes: bit j of byte i is the fifth bit of code i of
// sub-block j.
void q5_k(const std::byte* block, float* out) {
  for (int j = 0; j < 8; ++j) {
    const auto [scale, minimum] = sub_block(block, j);
    const std::byte *high = block + 16, *codes = block + 48 + j / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int code = (j % 2 == 0 ? low_nibble(codes[i]) : high_nibble(codes[i])) | bit(high[i], j)
                                                                                         << 4;
      *out++ = scale * static_cast<float>(code) - minimum;
    }
  }
}

// 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, fp16 scale. Each half of
// the block is four runs of 32 codes: runs 0 and 1 in the low nibbles of the half's 64 bytes, 2 and
// 3 in the high ones, the high bits of run r in bits 2r of the half's 32 bytes.
void q6_k(const std::byte* block, float* out) {
  const float scale = half_at(block + 208);
  for (int half = 0; half < 2; ++half) {
    const std::byte *low = block + 64 * half, *high = block + 128 + 32 * half;
    const std::byte* scales = block + 192 + 8 * half;
    for (int run = 0; run < 4; ++run) {
      for (int i = 0; i < 32; ++i) {
        const std::byte nibbles = low[run % 2 * 32 + i];
        const int top = std::to_integer<int>(high[i] >> (2 * run)) & 3;
        const int code = ((run < 2 ? low_nibble(nibbles) : high_nibble(nibbles)) | top << 4) - 32;
        const int factor = static_cast<int8_t>(scales[2 * run + i / 16]);
        *out++ = scale * static_cast<float>(factor) * static_cast<float>(code);
      }
    }
  }
}

struct NamedDequantizer {
  std::string_view type;
  Dequantizer function;
};
constexpr NamedDequantizer kDequantizers[] = {
    {"Q4_0", q4_0}, {"Q4_1", q4_1}, {"Q5_0", q5_0}, {"Q5_1", q5_1},
    {"Q8_0", q8_0}, {"Q4_K", q4_k}, {"Q5_K", q5_k}, {"Q6_K", q6_k},
};

class GgufWeight : public Weight {
 public:
  GgufWeight(const GgufType& type, Shape shape, Bytes packed, std::shared_ptr<const void> owner)
      : Weight({DType::F32, std::move(shape)}),
        gguf_type_(type),
        dequantize_(gguf_dequantizer(type.name)),
        packed_(packed),
        owner_(std::move(owner)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const uint64_t blocks = static_cast<uint64_t>(count) * row_elements() / gguf_type_.block;
    const std::byte* block = packed_.data() + static_cast<uint64_t>(first) * row_elements() /
                                                  gguf_type_.block * gguf_type_.bytes;
    std::array<float, 256> values;  // `out` may be at any address
    std::byte* to = out.data();
    for (uint64_t i = 0; i < blocks; ++i, block += gguf_type_.bytes) {
      dequantize_(block, values.data());
      to = std::copy_n(reinterpret_cast<const std::byte*>(values.data()),
                       gguf_type_.block * sizeof(float), to);
    }
    return {};
  }
  Status identify(Hasher& hasher, DigestCache&) const override {
    hasher.add(std::string_view("gguf"));
    hasher.add(gguf_type_.name);
    hasher.add(packed_);
    return {};
  }

 private:
  const GgufType& gguf_type_;  // in kGgufTypes
  Dequantizer dequantize_;
  Bytes packed_;
  std::shared_ptr<const void> owner_;
};

}  // namespace

Dequantizer gguf_dequantizer(std::string_view type) {
  for (const NamedDequantizer& known : kDequantizers) {
    if (known.type == type) return known.function;
  }
  return nullptr;
}

Result<WeightRef> gguf_weight(const GgufType& type, Shape shape, Bytes packed,
                              std::shared_ptr<const void> owner) {
  const uint64_t elements = TRY(element_count(shape));
  if (shape.empty() || shape.back() % type.block != 0) {
    return invalid_data("rows of {} are not made of blocks of {} {}", to_string(shape), type.block,
                        type.name);
  }
  uint64_t size = 0;
  if (!checked_mul(elements / type.block, type.bytes, &size) || size != packed.size()) {
    return invalid_data("{}{} needs {} bytes, found {}", type.name, to_string(shape), size,
                        packed.size());
  }
  // Checks that the fp32 form has a size that can be counted.
  TRY(packed_size({DType::F32, shape}));
  return WeightRef(std::make_shared<GgufWeight>(type, std::move(shape), packed, std::move(owner)));
}

}  // namespace diptych::checkpoint
