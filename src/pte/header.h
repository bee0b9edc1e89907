// The outer layout of a .pte file and its extended header. docs/formats/pte.md, section 1.
//
//        0  u32   offset of the root table, from byte 0 of the file        \  flatbuffer
//        4        "ET12"                                                   /
//        8        "eh00"                                                   \  extended header:
//       12  u32   length of this header, 32 (readers accept 24 and more)   |  only when there is
//       16  u64   program size: flatbuffer with this header in it          |  segment data;
//       24  u64   segment base                                             |  spliced into the
//       32  u64   size of all segment data (absent when length is 24)      /  flatbuffer
//       40        the rest of the flatbuffer
//     base        segments, each at a multiple of 128 from the base, zeros between
#pragma once

#include <array>
#include <optional>

#include "base/bytes.h"

namespace diptych::pte {

inline constexpr uint64_t kSegmentAlignment = 128;
inline constexpr uint64_t kConstantAlignment = 16;
// Readers may expect this many bytes of the smallest program.
inline constexpr uint64_t kHeadSize = 64;

// Where the parts of a file lie. A file without header is all program.
struct ExtendedHeader {
  uint64_t program_size = 0;
  uint64_t segment_base = 0;       // 0: no segments
  uint64_t segment_data_size = 0;  // 0: not said

  bool operator==(const ExtendedHeader&) const = default;
};

inline constexpr uint64_t kHeaderOffset = 8;
inline constexpr uint64_t kHeaderSize = 32;

// Reads the header of a whole file and checks its extents against the file's size. Returns nullopt
// when the file has no header.
Result<std::optional<ExtendedHeader>> read_header(Bytes file);

// The bytes that belong at kHeaderOffset.
std::array<std::byte, kHeaderSize> encode(const ExtendedHeader& header);

}  // namespace diptych::pte
