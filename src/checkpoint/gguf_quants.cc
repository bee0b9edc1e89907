#include "checkpoint/gguf_quants.h"

#include <algorithm>
#include <array>

#include "base/half.h"
#include "tensor/stored_blocks.h"

namespace diptych::checkpoint {

namespace {

constexpr size_t kLargestBlock = 256, kSmallestGroup = 16;

float half_at(const std::byte* at) { return half_to_float(load<uint16_t>(at)); }
int low_nibble(std::byte b) { return std::to_integer<int>(b & std::byte{15}); }
int high_nibble(std::byte b) { return std::to_integer<int>(b >> 4); }
int bit(std::byte b, int place) { return std::to_integer<int>(b >> place) & 1; }

// What a block says: its codes in two's complement, and the scales of its groups, with their minima
// if the type has any.
struct BlockParts {
  std::array<int8_t, kLargestBlock> codes;
  std::array<float, kLargestBlock / kSmallestGroup> scales, minima;
};

// --- Blocks of 32: a scale and perhaps a minimum, fp16, then the codes. Code i and code i + 16 are
// --- the nibbles of byte i.

void put_codes(int low, int high, int i, BlockParts& out) {
  out.codes[static_cast<size_t>(i)] = static_cast<int8_t>(low);
  out.codes[static_cast<size_t>(i) + 16] = static_cast<int8_t>(high);
}

void q4_0(const std::byte* block, BlockParts& out) {  // scale, 16 bytes
  out.scales[0] = half_at(block);
  for (int i = 0; i < 16; ++i) {
    put_codes(low_nibble(block[2 + i]) - 8, high_nibble(block[2 + i]) - 8, i, out);
  }
}

void q4_1(const std::byte* block, BlockParts& out) {  // scale, minimum, 16 bytes
  out.scales[0] = half_at(block);
  out.minima[0] = half_at(block + 2);
  for (int i = 0; i < 16; ++i) {
    put_codes(low_nibble(block[4 + i]) - 8, high_nibble(block[4 + i]) - 8, i, out);
  }
}

// The fifth bits of all 32 codes are one 32-bit number.
int fifth_bit(uint32_t bits, int i) { return static_cast<int>(bits >> i & 1) << 4; }

void codes_of_five(const std::byte* nibbles, uint32_t fifth, BlockParts& out) {
  for (int i = 0; i < 16; ++i) {
    put_codes((low_nibble(nibbles[i]) | fifth_bit(fifth, i)) - 16,
              (high_nibble(nibbles[i]) | fifth_bit(fifth, i + 16)) - 16, i, out);
  }
}

void q5_0(const std::byte* block, BlockParts& out) {  // scale, fifth bits, 16 bytes
  out.scales[0] = half_at(block);
  codes_of_five(block + 6, load<uint32_t>(block + 2), out);
}

void q5_1(const std::byte* block, BlockParts& out) {  // scale, minimum, fifth bits, 16 bytes
  out.scales[0] = half_at(block);
  out.minima[0] = half_at(block + 2);
  codes_of_five(block + 8, load<uint32_t>(block + 4), out);
}

void q8_0(const std::byte* block, BlockParts& out) {  // scale, 32 signed bytes
  out.scales[0] = half_at(block);
  for (size_t i = 0; i < 32; ++i) out.codes[i] = static_cast<int8_t>(block[2 + i]);
}

// --- Blocks of 256, made of sub-blocks whose scales are small integers.

// Q4_K and Q5_K: eight pairs of 6-bit numbers in 12 bytes. Bytes 0-3 and 4-7 hold the scales and
// minima of sub-blocks 0-3 in six bits; the nibbles of bytes 8-11 the low four of the others, whose
// high two are the top bits of bytes 0-7. Minima are what is taken off.
void sub_blocks(const std::byte* block, BlockParts& out) {
  const float scale = half_at(block), minimum = half_at(block + 2);
  const std::byte* packed = block + 4;
  for (int j = 0; j < 8; ++j) {
    int a = 0, b = 0;
    if (j < 4) {
      a = std::to_integer<int>(packed[j]) & 63;
      b = std::to_integer<int>(packed[j + 4]) & 63;
    } else {
      a = low_nibble(packed[j + 4]) | (std::to_integer<int>(packed[j - 4]) >> 6) << 4;
      b = high_nibble(packed[j + 4]) | (std::to_integer<int>(packed[j]) >> 6) << 4;
    }
    out.scales[static_cast<size_t>(j)] = scale * static_cast<float>(a);
    out.minima[static_cast<size_t>(j)] = -(minimum * static_cast<float>(b));
  }
}

// Each 32 bytes of codes hold two sub-blocks, the first in the low nibbles.
void q4_k(const std::byte* block, BlockParts& out) {  // scale, minimum, 12 bytes of scales, codes
  sub_blocks(block, out);
  int8_t* to = out.codes.data();
  for (int j = 0; j < 8; ++j) {
    const std::byte* codes = block + 16 + j / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int code = j % 2 == 0 ? low_nibble(codes[i]) : high_nibble(codes[i]);
      *to++ = static_cast<int8_t>(code - 8);
    }
  }
}

// As Q4_K, with 32 bytes in front of the codes: bit j of byte i is the fifth bit of code i of
// sub-block j.
void q5_k(const std::byte* block, BlockParts& out) {
  sub_blocks(block, out);
  int8_t* to = out.codes.data();
  for (int j = 0; j < 8; ++j) {
    const std::byte *high = block + 16, *codes = block + 48 + j / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int nibble = j % 2 == 0 ? low_nibble(codes[i]) : high_nibble(codes[i]);
      *to++ = static_cast<int8_t>((nibble | bit(high[i], j) << 4) - 16);
    }
  }
}

// 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, fp16 scale. Each half of
// the block is four runs of 32 codes: runs 0 and 1 in the low nibbles of the half's 64 bytes, 2 and
// 3 in the high ones, the high bits of run r in bits 2r of the half's 32 bytes.
void q6_k(const std::byte* block, BlockParts& out) {
  const float scale = half_at(block + 208);
  for (size_t group = 0; group < 16; ++group) {
    out.scales[group] = scale * static_cast<float>(static_cast<int8_t>(block[192 + group]));
  }
  int8_t* to = out.codes.data();
  for (int half = 0; half < 2; ++half) {
    const std::byte *low = block + 64 * half, *high = block + 128 + 32 * half;
    for (int run = 0; run < 4; ++run) {
      for (int i = 0; i < 32; ++i) {
        const std::byte nibbles = low[run % 2 * 32 + i];
        const int top = std::to_integer<int>(high[i] >> (2 * run)) & 3;
        const int code = (run < 2 ? low_nibble(nibbles) : high_nibble(nibbles)) | top << 4;
        *to++ = static_cast<int8_t>(code - 32);
      }
    }
  }
}

// A quantised type. The numbers of a group are scale * (code - zero) + minimum, or scale * code.
struct GgufCoding {
  std::string_view type;
  int bits;   // of the type in which its codes are kept: 4 or 8
  int group;  // columns that share a scale
  bool minima;
  int zero;  // the code of the minimum
  void (*take_apart)(const std::byte* block, BlockParts& out);
};
constexpr GgufCoding kCodings[] = {
    {"Q4_0", 4, 32, false, 0, q4_0},  {"Q4_1", 4, 32, true, -8, q4_1},
    {"Q5_0", 8, 32, false, 0, q5_0},  {"Q5_1", 8, 32, true, -16, q5_1},
    {"Q8_0", 8, 32, false, 0, q8_0},  {"Q4_K", 4, 32, true, -8, q4_k},
    {"Q5_K", 8, 32, true, -16, q5_k}, {"Q6_K", 8, 16, false, 0, q6_k},
};

const GgufCoding* coding_of(std::string_view type) {
  for (const GgufCoding& coding : kCodings) {
    if (coding.type == type) return &coding;
  }
  return nullptr;
}

void dequantize(const GgufCoding& coding, const BlockParts& parts, size_t count, float* out) {
  const auto group = static_cast<size_t>(coding.group);
  for (size_t begin = 0; begin < count; begin += group) {
    const float scale = parts.scales[begin / group], minimum = parts.minima[begin / group];
    for (size_t i = begin; i < begin + group; ++i) {
      const float product = static_cast<float>(parts.codes[i] - coding.zero) * scale;
      *out++ = coding.minima ? product + minimum : product;
    }
  }
}

// The blocks of a tensor, in the file.
struct GgufBlocks {
  const GgufType& type;  // in kGgufTypes
  const GgufCoding& coding;
  uint64_t per_row;
  Bytes packed;
  std::shared_ptr<const void> owner;

  // Calls take(parts) for each block of rows [first, first + count), in order.
  template <class Take>
  void for_each(int64_t first, int64_t count, const Take& take) const {
    BlockParts parts{};
    const std::byte* block = packed.data() + static_cast<uint64_t>(first) * per_row * type.bytes;
    for (uint64_t i = 0; i < static_cast<uint64_t>(count) * per_row; ++i, block += type.bytes) {
      coding.take_apart(block, parts);
      take(parts);
    }
  }
};
using GgufBlocksRef = std::shared_ptr<const GgufBlocks>;

// The codes, the scales or the minima of a tensor.
class GgufPart : public Weight {
 public:
  using Member = const std::byte* (*)(const BlockParts& parts);

  // `size` elements of each block begin at member(parts).
  GgufPart(DType dtype, int64_t rows, uint64_t size, GgufBlocksRef blocks, Member member)
      : Weight({dtype, {rows, static_cast<int64_t>(blocks->per_row * size)}}),
        block_bytes_(size * (dtype == DType::F32 ? sizeof(float) : 1)),
        blocks_(std::move(blocks)),
        member_(member) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    std::byte* to = out.data();
    blocks_->for_each(first, count, [&](const BlockParts& parts) {
      to = std::copy_n(member_(parts), block_bytes_, to);
    });
    return {};
  }

 private:
  uint64_t block_bytes_;
  GgufBlocksRef blocks_;
  Member member_;
};

template <auto member>
const std::byte* bytes_of(const BlockParts& parts) {
  return reinterpret_cast<const std::byte*>((parts.*member).data());
}

class GgufWeight : public Weight, public HasStoredBlocks {
 public:
  GgufWeight(Shape shape, GgufBlocksRef blocks)
      : Weight({DType::F32, std::move(shape)}), blocks_(std::move(blocks)) {}

  std::optional<StoredBlocks> stored_blocks() const override {
    if (type().rank() != 2) return std::nullopt;
    const GgufCoding& coding = blocks_->coding;
    const auto part = [&](DType dtype, uint64_t size, GgufPart::Member member) {
      return std::make_shared<GgufPart>(dtype, rows(), size, blocks_, member);
    };
    const uint64_t block = blocks_->type.block, groups = block / coding.group;
    StoredBlocks stored;
    stored.codes =
        part(coding.bits == 4 ? DType::Int4 : DType::Int8, block, bytes_of<&BlockParts::codes>);
    stored.scales = part(DType::F32, groups, bytes_of<&BlockParts::scales>);
    if (coding.minima) stored.minima = part(DType::F32, groups, bytes_of<&BlockParts::minima>);
    stored.zero = coding.zero;
    return stored;
  }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    std::array<float, kLargestBlock> values;  // `out` may be at any address
    std::byte* to = out.data();
    blocks_->for_each(first, count, [&](const BlockParts& parts) {
      dequantize(blocks_->coding, parts, blocks_->type.block, values.data());
      to = std::copy_n(reinterpret_cast<const std::byte*>(values.data()),
                       blocks_->type.block * sizeof(float), to);
    });
    return {};
  }
  Status identify(Hasher& hasher, DigestCache&) const override {
    hasher.add(std::string_view("gguf"));
    hasher.add(blocks_->type.name);
    hasher.add(blocks_->packed);
    return {};
  }

 private:
  GgufBlocksRef blocks_;
};

}  // namespace

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
  const GgufCoding* coding = coding_of(type.name);
  if (coding == nullptr) return unsupported("blocks of {}", type.name);
  const uint64_t rows = static_cast<uint64_t>(shape[0]);
  const uint64_t per_row = rows == 0 ? 0 : elements / rows / type.block;
  auto blocks = std::make_shared<const GgufBlocks>(
      GgufBlocks{type, *coding, per_row, packed, std::move(owner)});
  return WeightRef(std::make_shared<GgufWeight>(std::move(shape), std::move(blocks)));
}

}  // namespace diptych::checkpoint
