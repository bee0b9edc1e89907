#include <zlib.h>

#include "base/in_quotes.h"
#include "checkpoint/zip.h"
#include "checkpoint/zip_format.h"

namespace diptych::checkpoint {

namespace {

constexpr uint64_t kDataAlignment = 64;

// Little-endian fields, one after another.
class Record {
 public:
  template <class T>
  Record& put(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  Record& put_text(std::string_view text) {
    out_ += text;
    return *this;
  }
  Record& put_zeros(size_t count) {
    out_.append(count, '\0');
    return *this;
  }
  Bytes bytes() const { return as_bytes(out_); }
  size_t size() const { return out_.size(); }

 private:
  std::string out_;
};

// Passes bytes on and keeps their CRC-32 and count.
class CheckedSink : public Sink {
 public:
  explicit CheckedSink(Sink& sink) : sink_(sink) {}
  Status write(Bytes bytes) override {
    if (bytes.empty()) return {};  // zlib takes a null pointer for a request to start anew
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    count_ += bytes.size();
    return sink_.write(bytes);
  }
  uint32_t crc() const { return static_cast<uint32_t>(crc_); }
  uint64_t count() const { return count_; }

 private:
  Sink& sink_;
  uLong crc_ = 0;
  uint64_t count_ = 0;
};

bool is_wide(uint64_t value) { return value >= kSee64; }
uint32_t narrow(uint64_t value) { return is_wide(value) ? kSee64 : static_cast<uint32_t>(value); }
// The zip version that a reader must know: 4.5 brought Zip64.
constexpr uint16_t kVersion = 20, kVersion64 = 45;

Record local_header(const ZipEntry& entry) {
  const bool wide = is_wide(entry.size);
  const uint64_t fixed =
      entry.header_offset + kLocalHeaderSize + entry.name.size() + (wide ? 20 : 0) + 4;
  const auto padding = static_cast<uint16_t>(align_up(fixed, kDataAlignment) - fixed);
  Record record;
  record.put(kLocalSignature)
      .put(wide ? kVersion64 : kVersion)
      .put<uint16_t>(kFlagDescriptor | kFlagUtf8)
      .put(kStored)
      .put_zeros(4)            // time, date
      .put<uint32_t>(0)        // CRC-32: in the descriptor, as are the sizes
      .put(wide ? kSee64 : 0)  // a wide entry announces its 64-bit descriptor
      .put(wide ? kSee64 : 0)
      .put(static_cast<uint16_t>(entry.name.size()))
      .put(static_cast<uint16_t>((wide ? 20 : 0) + 4 + padding))
      .put_text(entry.name);
  if (wide) record.put(kExtraZip64).put<uint16_t>(16).put_zeros(16);
  record.put(kExtraPadding).put(padding).put_zeros(padding);
  return record;
}

Record descriptor(const ZipEntry& entry) {
  Record record;
  record.put(kDescriptorSignature).put(entry.crc32);
  if (is_wide(entry.size)) {
    record.put(entry.size).put(entry.size);
  } else {
    record.put(narrow(entry.size)).put(narrow(entry.size));
  }
  return record;
}

Record directory_record(const ZipEntry& entry) {
  const bool wide_size = is_wide(entry.size), wide_offset = is_wide(entry.header_offset);
  const int wide_bytes = (wide_size ? 16 : 0) + (wide_offset ? 8 : 0);
  Record record;
  record.put(kDirectorySignature)
      .put<uint16_t>(0)  // made by: DOS, which says nothing of permissions
      .put(wide_bytes ? kVersion64 : kVersion)
      .put<uint16_t>(kFlagDescriptor | kFlagUtf8)
      .put(kStored)
      .put_zeros(4)  // time, date
      .put(entry.crc32)
      .put(narrow(entry.size))
      .put(narrow(entry.size))
      .put(static_cast<uint16_t>(entry.name.size()))
      .put(static_cast<uint16_t>(wide_bytes ? 4 + wide_bytes : 0))
      .put_zeros(2 + 2 + 2 + 4)  // comment, disk, internal and external attributes
      .put(narrow(entry.header_offset))
      .put_text(entry.name);
  if (wide_bytes) record.put(kExtraZip64).put(static_cast<uint16_t>(wide_bytes));
  if (wide_size) record.put(entry.size).put(entry.size);
  if (wide_offset) record.put(entry.header_offset);
  return record;
}

Record end64_records(uint64_t entries, uint64_t offset, uint64_t size) {
  Record record;
  record.put(kEnd64Signature)
      .put<uint64_t>(kEnd64Size - 12)
      .put(kVersion64)
      .put(kVersion64)
      .put_zeros(8)  // disks
      .put(entries)
      .put(entries)
      .put(size)
      .put(offset);
  record.put(kLocator64Signature).put<uint32_t>(0).put(offset + size).put<uint32_t>(1);
  return record;
}

Record end_record(uint64_t entries, uint64_t offset, uint64_t size) {
  const auto count = static_cast<uint16_t>(entries >= kSee64Short ? kSee64Short : entries);
  Record record;
  record.put(kEndSignature)
      .put_zeros(4)  // disks
      .put(count)
      .put(count)
      .put(narrow(size))
      .put(narrow(offset))
      .put<uint16_t>(0);  // comment
  return record;
}

}  // namespace

Status ZipWriter::write(Bytes bytes) {
  TRY(sink_.write(bytes));
  position_ += bytes.size();
  return {};
}

Status ZipWriter::add(std::string_view name, const Source& source) {
  if (name.empty() || name.size() > 0xFFFF) {
    return invalid_argument("a zip entry's name must have 1 to 65535 bytes, found {}", name.size());
  }
  ZipEntry entry;
  entry.name = name;
  entry.header_offset = position_;
  entry.size = source.size();
  const Record header = local_header(entry);
  entry.data_offset = position_ + header.size();
  TRY(write(header.bytes()));
  CheckedSink data(sink_);
  TRY(source.write_to(data));
  position_ += data.count();
  if (data.count() != entry.size) {
    return fail(ErrorCode::Internal, "zip entry {}: {} bytes announced, {} written",
                in_quotes(name), entry.size, data.count());
  }
  entry.crc32 = data.crc();
  TRY(write(descriptor(entry).bytes()));
  entries_.push_back(std::move(entry));
  return {};
}

Status ZipWriter::finish() {
  const uint64_t offset = position_;
  for (const ZipEntry& entry : entries_) TRY(write(directory_record(entry).bytes()));
  const uint64_t size = position_ - offset;
  if (entries_.size() >= kSee64Short || is_wide(offset) || is_wide(size)) {
    TRY(write(end64_records(entries_.size(), offset, size).bytes()));
  }
  return write(end_record(entries_.size(), offset, size).bytes());
}

}  // namespace diptych::checkpoint
