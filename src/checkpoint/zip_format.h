// Constants of the zip format that the reader and the writer share (PKWARE APPNOTE 6.3.9).
//
//   local header | name | extra | data | descriptor      for every entry
//   directory record | name | extra | comment            for every entry
//   [Zip64 end record | Zip64 locator]  end record | comment
#pragma once

#include <cstdint>

namespace diptych::checkpoint {

constexpr uint32_t kLocalSignature = 0x04034B50;
constexpr uint32_t kDirectorySignature = 0x02014B50;
constexpr uint32_t kDescriptorSignature = 0x08074B50;
constexpr uint32_t kEndSignature = 0x06054B50;
constexpr uint32_t kEnd64Signature = 0x06064B50;
constexpr uint32_t kLocator64Signature = 0x07064B50;

constexpr uint64_t kLocalHeaderSize = 30;
constexpr uint64_t kDirectoryRecordSize = 46;
constexpr uint64_t kEndSize = 22;
constexpr uint64_t kEnd64Size = 56;
constexpr uint64_t kLocator64Size = 20;

constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;

constexpr uint16_t kFlagEncrypted = 1 << 0;
constexpr uint16_t kFlagDescriptor = 1 << 3;  // sizes and CRC follow the data
constexpr uint16_t kFlagStrongEncryption = 1 << 6;
constexpr uint16_t kFlagUtf8 = 1 << 11;
constexpr uint16_t kFlagMaskedHeaders = 1 << 13;

constexpr uint16_t kExtraZip64 = 0x0001;
constexpr uint16_t kExtraPadding = 0x4246;  // "FB": torch's filler in front of aligned data

// A 32- or 16-bit field with all bits set says that the value stands in a Zip64 record.
constexpr uint32_t kSee64 = 0xFFFFFFFF;
constexpr uint16_t kSee64Short = 0xFFFF;

}  // namespace diptych::checkpoint
