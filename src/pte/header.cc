#include "pte/header.h"

namespace diptych::pte {

namespace {

struct RawHeader {
  std::array<char, 4> magic;
  uint32_t length;
  uint64_t program_size;
  uint64_t segment_base;
  uint64_t segment_data_size;
};
static_assert(sizeof(RawHeader) == kHeaderSize);

constexpr std::array<char, 4> kMagic = {'e', 'h', '0', '0'};
constexpr uint32_t kMinimumLength = 24;  // without the size of the segment data

Status check_extents(const ExtendedHeader& header, uint32_t length, uint64_t file_size) {
  if (header.program_size < kHeaderOffset + uint64_t{length}) {
    return invalid_data("extended header: a program of {} bytes cannot hold a header of {}",
                        header.program_size, length);
  }
  if (header.program_size > file_size) {
    return invalid_data("extended header: the program takes {} bytes, the file has {}; truncated?",
                        header.program_size, file_size);
  }
  if (header.segment_base == 0) {
    if (header.segment_data_size == 0) return {};
    return invalid_data("extended header: {} bytes of segment data, but no segment base",
                        header.segment_data_size);
  }
  if (header.segment_base < header.program_size) {
    return invalid_data("extended header: the segments start at {}, inside the program of {} bytes",
                        header.segment_base, header.program_size);
  }
  if (!range_fits(header.segment_base, header.segment_data_size, file_size)) {
    return invalid_data(
        "extended header: {} bytes of segment data from offset {}, the file has {}; truncated?",
        header.segment_data_size, header.segment_base, file_size);
  }
  return {};
}

}  // namespace

Result<std::optional<ExtendedHeader>> read_header(Bytes file) {
  if (file.size() < kHeadSize) {
    return invalid_data("not an ExecuTorch program: expected at least {} bytes, found {}",
                        kHeadSize, file.size());
  }
  const auto raw = load<RawHeader>(&file[kHeaderOffset]);
  if (raw.magic != kMagic) return std::nullopt;
  if (raw.length < kMinimumLength) {
    return invalid_data("extended header: expected a length of at least {}, found {}",
                        kMinimumLength, raw.length);
  }
  ExtendedHeader header{raw.program_size, raw.segment_base, 0};
  if (raw.length >= kHeaderSize) header.segment_data_size = raw.segment_data_size;
  TRY(check_extents(header, raw.length, file.size()));
  return header;
}

std::array<std::byte, kHeaderSize> encode(const ExtendedHeader& header) {
  std::array<std::byte, kHeaderSize> bytes;
  store(bytes.data(), RawHeader{kMagic, kHeaderSize, header.program_size, header.segment_base,
                                header.segment_data_size});
  return bytes;
}

}  // namespace diptych::pte
