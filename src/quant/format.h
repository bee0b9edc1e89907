// How the quantised form of a matrix [out, in] is stored: codes of a few bits, and either a scale
// for each group of inputs, w[i, j] ~ scales[i, j / group] * codes[i, j], or a table that a group
// of rows shares, w[i, j] ~ tables[i / group][codes[i, j]]. A new format is a row in format.cc.
// One format is no choice of ours: what the source is quantised to already can be kept
// (quant/keep.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tensor/type.h"

namespace diptych::quant {

enum class Kind : uint8_t {
  Scaled,
  Palette,
  Kept,  // as the source is quantised: bits and group follow from each tensor
};

struct Format {
  int bits = 4;  // of a code: 4 or 8; of a palette 6, too
  // Inputs that share a scale: 32, 64, 128, or 0 for a whole row. Of a palette, rows that share a
  // table: 8, 16, 32, or 0 for all.
  int64_t group = 0;
  Kind kind = Kind::Scaled;

  bool operator==(const Format&) const = default;
};

inline constexpr Format kC4w{4, 0};  // upstream's, as kB4w
inline constexpr Format kB4w{4, 32};
inline constexpr Format kC8w{8, 0};
// The wish to keep what the source has, whatever it is (kept_format()).
inline constexpr Format kKeep{0, 0, Kind::Kept};

// The formats that have names, under which options know them.
struct NamedFormat {
  std::string_view name;  // "c4w"
  Format format;
};
std::span<const NamedFormat> named_formats();

// "4-bit per row", "8-bit in groups of 32", "6-bit palette of 16 rows", "4-bit in groups of 32,
// kept".
std::string to_string(const Format& format);

// Says what is wrong with `format` itself: bits or group outside the choices above. Nothing is with
// one that is kept.
Status check(const Format& format);

// What a group divides, as a phrase for errors ("width"), and its axis.
struct Grouped {
  size_t axis;
  std::string_view name;
  std::string_view all;  // what a group of 0 means: "a whole row"
};
Grouped grouped(const Format& format);

// The group that the format may have, nearest to the one it has, that divides `size`; 0 when none
// does.
int64_t nearest_group(const Format& format, int64_t size);

// Codes of scaled formats are the integers of two's complement. The range from lowest_code() to
// highest_code() has 2 half_range() steps.
constexpr int lowest_code(int bits) { return -(1 << (bits - 1)); }
constexpr int highest_code(int bits) { return (1 << (bits - 1)) - 1; }
constexpr float half_range(int bits) { return static_cast<float>((1 << bits) - 1) / 2; }
constexpr DType code_type(int bits) { return bits == 4 ? DType::Int4 : DType::Int8; }
constexpr DType code_type(const Format& format) {
  if (format.kind != Kind::Palette) return code_type(format.bits);
  return format.bits == 4 ? DType::UInt4 : format.bits == 6 ? DType::UInt6 : DType::UInt8;
}

}  // namespace diptych::quant
