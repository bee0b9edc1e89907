#include <zlib.h>

#include <algorithm>
#include <optional>

#include "base/in_quotes.h"
#include "checkpoint/zip.h"
#include "checkpoint/zip_format.h"

namespace diptych::checkpoint {

namespace {

// Where the directory lies, from the end records.
struct Directory {
  uint64_t offset = 0, size = 0, entries = 0;
  uint64_t limit = 0;  // it must end at or before this offset
};

std::optional<uint64_t> find_end_record(Bytes bytes) {
  if (bytes.size() < kEndSize) return std::nullopt;
  const uint64_t last = bytes.size() - kEndSize;
  const uint64_t longest_comment = 0xFFFF;
  const uint64_t first = last > longest_comment ? last - longest_comment : 0;
  for (uint64_t at = last + 1; at-- > first;) {
    if (load<uint32_t>(&bytes[at]) == kEndSignature &&
        at + kEndSize + load<uint16_t>(&bytes[at + 20]) == bytes.size()) {
      return at;
    }
  }
  return std::nullopt;
}

// Replaces the fields of the end record by those of the Zip64 end record, when there is one.
Status read_zip64_end(Bytes bytes, uint64_t end_offset, Directory* directory) {
  if (end_offset < kLocator64Size) return {};
  const std::byte* locator = &bytes[end_offset - kLocator64Size];
  if (load<uint32_t>(locator) != kLocator64Signature) return {};
  if (load<uint32_t>(locator + 4) != 0 || load<uint32_t>(locator + 16) > 1) {
    return unsupported("the zip archive spans several disks");
  }
  const auto at = load<uint64_t>(locator + 8);
  const Bytes record = TRY(slice(bytes.first(end_offset - kLocator64Size), at, kEnd64Size,
                                 "Zip64 end record of the zip archive"));
  if (load<uint32_t>(record.data()) != kEnd64Signature) {
    return invalid_data("expected the Zip64 end record of the zip archive at offset {}", at);
  }
  if (load<uint32_t>(&record[16]) != 0 || load<uint32_t>(&record[20]) != 0 ||
      load<uint64_t>(&record[24]) != load<uint64_t>(&record[32])) {
    return unsupported("the zip archive spans several disks");
  }
  const Directory wide = {load<uint64_t>(&record[48]), load<uint64_t>(&record[40]),
                          load<uint64_t>(&record[32]), at};
  const auto agrees = [](uint64_t narrow, uint64_t see64, uint64_t value) {
    return narrow == see64 || narrow == value;
  };
  if (!agrees(directory->offset, kSee64, wide.offset) ||
      !agrees(directory->size, kSee64, wide.size) ||
      !agrees(directory->entries, kSee64Short, wide.entries)) {
    return invalid_data("the two end records of the zip archive (offsets {} and {}) disagree", at,
                        end_offset);
  }
  *directory = wide;
  return {};
}

Result<Directory> find_directory(Bytes bytes) {
  const auto end = find_end_record(bytes);
  if (!end) {
    return invalid_data(
        "no end record in the last bytes of the zip archive ({} bytes): the file is truncated or "
        "not a zip archive",
        bytes.size());
  }
  const std::byte* record = &bytes[*end];
  const auto disk = load<uint16_t>(record + 4);
  const auto start_disk = load<uint16_t>(record + 6);
  const bool one_disk = (disk == 0 || disk == kSee64Short) &&
                        (start_disk == 0 || start_disk == kSee64Short) &&
                        load<uint16_t>(record + 8) == load<uint16_t>(record + 10);
  if (!one_disk) return unsupported("the zip archive spans several disks");
  Directory directory = {load<uint32_t>(record + 16), load<uint32_t>(record + 12),
                         load<uint16_t>(record + 10), *end};
  TRY(read_zip64_end(bytes, *end, &directory));
  TRY(slice(bytes.first(directory.limit), directory.offset, directory.size,
            "directory of the zip archive"));
  if (directory.entries > directory.size / kDirectoryRecordSize) {
    return invalid_data("the zip archive's directory of {} bytes cannot hold {} entries",
                        directory.size, directory.entries);
  }
  return directory;
}

// Takes sizes and offset that do not fit the record from its Zip64 extra field.
Status read_zip64_extra(Bytes extra, bool wide_size, bool wide_data_size, bool wide_offset,
                        uint64_t* full_size, ZipEntry* entry) {
  if (!wide_size && !wide_data_size && !wide_offset) return {};
  ByteReader fields(extra);
  while (fields.remaining() > 0) {
    const auto id = TRY(fields.read<uint16_t>("extra field"));
    const auto size = TRY(fields.read<uint16_t>("extra field"));
    ByteReader field(TRY(fields.take(size, "extra field")));
    if (id != kExtraZip64) continue;
    if (wide_size) *full_size = TRY(field.read<uint64_t>("Zip64 extra field"));
    if (wide_data_size) entry->size = TRY(field.read<uint64_t>("Zip64 extra field"));
    if (wide_offset) entry->header_offset = TRY(field.read<uint64_t>("Zip64 extra field"));
    return {};
  }
  return invalid_data("the Zip64 extra field is missing");
}

// Checks the local header and finds where the data starts. `limit`: the directory's offset.
Status locate_data(Bytes bytes, uint64_t limit, std::string_view name, ZipEntry* entry) {
  const Bytes area = bytes.first(limit);
  const uint64_t at = entry->header_offset;
  const Bytes header = TRY(slice(area, at, kLocalHeaderSize, "local header"));
  if (load<uint32_t>(header.data()) != kLocalSignature) {
    return invalid_data("expected a local header at offset {}", at);
  }
  const auto name_size = load<uint16_t>(&header[26]);
  const auto extra_size = load<uint16_t>(&header[28]);
  const Bytes local_name = TRY(slice(area, at + kLocalHeaderSize, name_size, "name"));
  if (as_text(local_name) != name) {
    return invalid_data("the local header at offset {} has another name, {}", at,
                        in_quotes(as_text(local_name)));
  }
  if (load<uint16_t>(&header[8]) != entry->method) {
    return invalid_data("the local header at offset {} has another compression method", at);
  }
  entry->data_offset = at + kLocalHeaderSize + name_size + extra_size;
  TRY(slice(area, entry->data_offset, entry->size, "data"));
  return {};
}

// Fills `entry` from a directory record and the name and extra field behind it.
Status read_entry(Bytes bytes, uint64_t limit, Bytes record, std::string_view name, Bytes extra,
                  ZipEntry* entry) {
  const auto flags = load<uint16_t>(&record[8]);
  if (flags & (kFlagEncrypted | kFlagStrongEncryption | kFlagMaskedHeaders)) {
    return unsupported("the entry is encrypted; decrypt the archive first");
  }
  entry->name = name;
  entry->method = load<uint16_t>(&record[10]);
  entry->crc32 = load<uint32_t>(&record[16]);
  entry->size = load<uint32_t>(&record[20]);
  uint64_t full_size = load<uint32_t>(&record[24]);
  entry->header_offset = load<uint32_t>(&record[42]);
  TRY(read_zip64_extra(extra, full_size == kSee64, entry->size == kSee64,
                       entry->header_offset == kSee64, &full_size, entry));
  const auto disk = load<uint16_t>(&record[34]);
  if (disk != 0 && disk != kSee64Short) return unsupported("the entry lies on another disk");
  if (entry->method == kStored && entry->size != full_size) {
    return invalid_data("the entry is stored, but takes {} bytes for {}", entry->size, full_size);
  }
  return locate_data(bytes, limit, name, entry);
}

Status check_overlap(const std::vector<ZipEntry>& entries) {
  std::vector<const ZipEntry*> ordered;
  ordered.reserve(entries.size());
  for (const ZipEntry& entry : entries) ordered.push_back(&entry);
  std::sort(ordered.begin(), ordered.end(), [](const ZipEntry* a, const ZipEntry* b) {
    return a->header_offset < b->header_offset;
  });
  for (size_t i = 1; i < ordered.size(); ++i) {
    const ZipEntry& before = *ordered[i - 1];
    if (ordered[i]->header_offset < before.data_offset + before.size) {
      return invalid_data("the zip entries {} and {} overlap at offset {}", in_quotes(before.name),
                          in_quotes(ordered[i]->name), ordered[i]->header_offset);
    }
  }
  return {};
}

}  // namespace

Result<ZipReader> ZipReader::open(Bytes bytes) {
  const Directory directory = TRY(find_directory(bytes));
  ZipReader reader(bytes);
  reader.entries_.reserve(directory.entries);
  ByteReader records(bytes.subspan(directory.offset, directory.size), directory.offset);
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const uint64_t at = records.offset();
    const Bytes record = TRY(records.take(kDirectoryRecordSize, "zip directory"));
    if (load<uint32_t>(record.data()) != kDirectorySignature) {
      return invalid_data("expected an entry of the zip directory at offset {}", at);
    }
    const auto name =
        as_text(TRY(records.take(load<uint16_t>(&record[28]), "name in the zip directory")));
    const Bytes extra =
        TRY(records.take(load<uint16_t>(&record[30]), "extra field in the zip directory"));
    TRY(records.skip(load<uint16_t>(&record[32]), "comment in the zip directory"));
    ZipEntry entry;
    TRY(within("zip entry " + in_quotes(name),
               read_entry(bytes, directory.offset, record, name, extra, &entry)));
    if (!reader.by_name_.emplace(name, reader.entries_.size()).second) {
      return invalid_data("the zip archive has two entries {}", in_quotes(name));
    }
    reader.entries_.push_back(std::move(entry));
  }
  TRY(check_overlap(reader.entries_));
  return reader;
}

const ZipEntry* ZipReader::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

Result<Bytes> ZipReader::data(const ZipEntry& entry) const {
  if (entry.method != kStored) {
    return unsupported(
        "zip entry {} is compressed ({}); only stored entries, as torch.save writes them, are read",
        in_quotes(entry.name),
        entry.method == kDeflated ? "deflate" : fmt::format("method {}", entry.method));
  }
  return bytes_.subspan(entry.data_offset, entry.size);
}

Status ZipReader::check_crc(const ZipEntry& entry) const {
  if (entry.crc32 == 0) return {};
  const Bytes bytes = TRY(data(entry));
  const auto found =
      static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  if (found != entry.crc32) {
    return invalid_data("zip entry {} at offset {} is damaged: CRC-32 {:08x}, expected {:08x}",
                        in_quotes(entry.name), entry.data_offset, found, entry.crc32);
  }
  return {};
}

}  // namespace diptych::checkpoint
