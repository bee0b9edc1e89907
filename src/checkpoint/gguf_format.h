// What the reader and the writer of GGUF share. Everything is little-endian.
//
//   0   "GGUF"  u32 version (2 or 3)  u64 number of tensors  u64 number of metadata entries
//   24  per entry:  text key, u32 kind, value
//       per tensor: text name, u32 axes, u64 sizes (innermost first), u32 type, u64 offset
//       fill to a multiple of the alignment (general.alignment, else 32)
//       tensors, each at its offset from here, a multiple of the alignment
//
// A text is u64 length and bytes; an array u32 kind of its elements, u64 count, elements.
// Source: the GGUF specification of the ggml project; page: docs/formats/gguf.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/type.h"

namespace diptych::checkpoint {

constexpr std::string_view kGgufMagic = "GGUF";
constexpr uint32_t kGgufVersion = 3;
constexpr uint64_t kGgufAlignment = 32;
constexpr std::string_view kGgufAlignmentKey = "general.alignment";

// Kinds of metadata values.
enum class GgufKind : uint32_t {
  UInt8 = 0,
  Int8 = 1,
  UInt16 = 2,
  Int16 = 3,
  UInt32 = 4,
  Int32 = 5,
  Float32 = 6,
  Bool = 7,
  Text = 8,
  Array = 9,
  UInt64 = 10,
  Int64 = 11,
  Float64 = 12,
};

// Bytes of a value of fixed size; 0 for others.
constexpr uint64_t fixed_size(GgufKind kind) {
  switch (kind) {
    case GgufKind::UInt8:
    case GgufKind::Int8:
    case GgufKind::Bool:
      return 1;
    case GgufKind::UInt16:
    case GgufKind::Int16:
      return 2;
    case GgufKind::UInt32:
    case GgufKind::Int32:
    case GgufKind::Float32:
      return 4;
    case GgufKind::UInt64:
    case GgufKind::Int64:
    case GgufKind::Float64:
      return 8;
    default:
      return 0;
  }
}

// An element type of tensors. Rows consist of blocks of `block` elements in `bytes` bytes.
struct GgufType {
  uint32_t id;
  std::string_view name;
  uint32_t block, bytes;
  std::optional<DType> plain;  // the same as this type; else a quantised one (gguf_quants.h)
  bool read;                   // whether diptych reads it
};

constexpr GgufType quantised(uint32_t id, std::string_view name, uint32_t block, uint32_t bytes) {
  return {id, name, block, bytes, std::nullopt, true};
}
// Known by name alone, to be refused.
constexpr GgufType known(uint32_t id, std::string_view name) {
  return {id, name, 0, 0, std::nullopt, false};
}
inline constexpr std::array kGgufTypes = {
    GgufType{0, "F32", 1, 4, DType::F32, true},
    GgufType{1, "F16", 1, 2, DType::F16, true},
    GgufType{30, "BF16", 1, 2, DType::BF16, true},
    quantised(2, "Q4_0", 32, 18),
    quantised(3, "Q4_1", 32, 20),
    quantised(6, "Q5_0", 32, 22),
    quantised(7, "Q5_1", 32, 24),
    quantised(8, "Q8_0", 32, 34),
    quantised(12, "Q4_K", 256, 144),
    quantised(13, "Q5_K", 256, 176),
    quantised(14, "Q6_K", 256, 210),
    known(9, "Q8_1"),
    known(10, "Q2_K"),
    known(11, "Q3_K"),
    known(15, "Q8_K"),
    known(16, "IQ2_XXS"),
    known(17, "IQ2_XS"),
    known(18, "IQ3_XXS"),
    known(19, "IQ1_S"),
    known(20, "IQ4_NL"),
    known(21, "IQ3_S"),
    known(22, "IQ2_S"),
    known(23, "IQ4_XS"),
    known(24, "I8"),
    known(25, "I16"),
    known(26, "I32"),
    known(27, "I64"),
    known(28, "F64"),
    known(29, "IQ1_M"),
    known(34, "TQ1_0"),
    known(35, "TQ2_0"),
    known(39, "MXFP4"),
};

}  // namespace diptych::checkpoint
