// Zip archives as torch.save writes them: every entry stored, so that data is read where it lies.
// Source: PKWARE APPNOTE 6.3.9, sections 4.3 to 4.5; layout in docs/formats/torch.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/stream.h"

namespace diptych::checkpoint {

// One file in an archive, its place checked against the archive's bounds.
struct ZipEntry {
  std::string name;
  uint16_t method = 0;         // 0: stored
  uint32_t crc32 = 0;          // 0 when torch was told not to compute it
  uint64_t header_offset = 0;  // of the local header
  uint64_t data_offset = 0;    // of the first data byte
  uint64_t size = 0;           // bytes in the archive (compressed, if the entry is)
};

// The directory of an archive over bytes that the caller keeps alive (a mapped file). What open()
// accepts is unambiguous: entries lie in front of the directory, do not overlap, have different
// names and the same name in both of their headers. Multi-disk and encrypted archives are refused.
class ZipReader {
 public:
  static Result<ZipReader> open(Bytes bytes);

  const std::vector<ZipEntry>& entries() const { return entries_; }  // in the directory's order
  const ZipEntry* find(std::string_view name) const;

  // The entry's data where it lies; an error when the entry is compressed.
  Result<Bytes> data(const ZipEntry& entry) const;
  // Compares the data with the recorded CRC-32, if there is one: reads all of it.
  Status check_crc(const ZipEntry& entry) const;

 private:
  explicit ZipReader(Bytes bytes) : bytes_(bytes) {}

  Bytes bytes_;
  std::vector<ZipEntry> entries_;
  std::unordered_map<std::string_view, size_t> by_name_;  // keys point into bytes_
};

// Writes an archive of stored entries as a stream: data is aligned to 64 bytes (as torch does, so
// that readers can map it), sizes and CRC-32 follow it in a data descriptor, and Zip64 records are
// written where a 32-bit field does not suffice. The bytes depend on nothing but names and data.
class ZipWriter {
 public:
  explicit ZipWriter(Sink& sink) : sink_(sink) {}

  // `source` gives exactly source.size() bytes. Names must differ.
  Status add(std::string_view name, const Source& source);
  // Writes the directory; nothing may be added after it.
  Status finish();

  uint64_t bytes_written() const { return position_; }

 private:
  Status write(Bytes bytes);

  Sink& sink_;
  uint64_t position_ = 0;
  std::vector<ZipEntry> entries_;
};

}  // namespace diptych::checkpoint
