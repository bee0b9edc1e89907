#include "checkpoint/zip.h"

#include <gmock/gmock.h>

#include "checkpoint/pickle_text.h"
#include "checkpoint/zip_format.h"
#include "testing/shared_data.h"

namespace diptych::checkpoint {
namespace {

using ::testing::HasSubstr;
using testing::little_endian;
using namespace std::string_literals;

std::string zip_error(const std::string& archive) {
  const auto result = ZipReader::open(as_bytes(archive));
  return result ? "no error" : result.error().to_string();
}

std::string write(const std::vector<std::pair<std::string, std::string>>& files) {
  MemorySink sink;
  ZipWriter writer(sink);
  for (const auto& [name, data] : files) {
    EXPECT_TRUE(writer.add(name, *memory_source(data)).has_value());
  }
  EXPECT_TRUE(writer.finish().has_value());
  return std::string(as_text(sink.data));
}

// What differs from a plain archive of two stored entries "a" and "b".
struct Variant {
  uint16_t flags = 0, method = 0, disk = 0;
  uint32_t size = 3, full_size = 3;
  uint64_t offset_of_b = UINT64_MAX;
  std::string local_name = "b", name = "b";
  bool zip64 = false;   // values in Zip64 records, all short fields saturated
  uint64_t size64 = 3;  // of b, in its Zip64 extra field
  uint64_t directory_shift = 0;
  uint32_t disks = 1;
};

std::string local_header(const std::string& name, uint16_t method) {
  return little_endian(kLocalSignature) + std::string(4, '\0') + little_endian(method) +
         std::string(16, '\0') + little_endian(static_cast<uint16_t>(name.size())) +
         little_endian<uint16_t>(5) + name + "pad-5";
}

std::string directory_record(const std::string& name, const Variant& variant, uint64_t offset) {
  const std::string extra = variant.zip64
                                ? little_endian<uint16_t>(0x7777) + little_endian<uint16_t>(2) +
                                      "zz" + little_endian(kExtraZip64) +
                                      little_endian<uint16_t>(24) + little_endian(variant.size64) +
                                      little_endian(variant.size64) + little_endian(offset)
                                : "";
  const uint32_t saturated = kSee64;
  return little_endian(kDirectorySignature) + std::string(4, '\0') + little_endian(variant.flags) +
         little_endian(variant.method) + std::string(8, '\0') +
         little_endian(variant.zip64 ? saturated : variant.size) +
         little_endian(variant.zip64 ? saturated : variant.full_size) +
         little_endian(static_cast<uint16_t>(name.size())) +
         little_endian(static_cast<uint16_t>(extra.size())) + little_endian<uint16_t>(2) +
         little_endian(variant.disk) + std::string(6, '\0') +
         little_endian(variant.zip64 ? saturated : static_cast<uint32_t>(offset)) + name + extra +
         "cc";
}

std::string zip_archive(const Variant& variant = {}) {
  Variant plain;
  plain.zip64 = variant.zip64;
  std::string out = local_header("a", 0) + "AAA";
  const uint64_t b = variant.offset_of_b == UINT64_MAX ? out.size() : variant.offset_of_b;
  out += local_header(variant.local_name, variant.method) + "BBB";
  const uint64_t offset = out.size();
  const std::string directory =
      directory_record("a", plain, 0) + directory_record(variant.name, variant, b);
  out += directory;
  const uint64_t end64 = out.size();
  if (variant.zip64) {
    out += little_endian(kEnd64Signature) + little_endian<uint64_t>(44) + std::string(12, '\0') +
           little_endian<uint64_t>(2) + little_endian<uint64_t>(2) +
           little_endian<uint64_t>(directory.size()) +
           little_endian(offset + variant.directory_shift);
    out += little_endian(kLocator64Signature) + little_endian<uint32_t>(0) + little_endian(end64) +
           little_endian(variant.disks);
    return out + little_endian(kEndSignature) + std::string(16, '\xff') +
           little_endian<uint16_t>(1) + "c";
  }
  return out + little_endian(kEndSignature) +
         little_endian(static_cast<uint16_t>(variant.disks - 1)) + std::string(2, '\0') +
         little_endian<uint16_t>(2) + little_endian<uint16_t>(2) +
         little_endian(static_cast<uint32_t>(directory.size())) +
         little_endian(static_cast<uint32_t>(offset + variant.directory_shift)) +
         little_endian<uint16_t>(1) + "c";
}

void expect_a_and_b(const std::string& bytes) {
  const auto zip = ZipReader::open(as_bytes(bytes));
  ASSERT_OK(zip);
  ASSERT_EQ(zip->entries().size(), 2u);
  ASSERT_NE(zip->find("b"), nullptr);
  EXPECT_EQ(zip->find("c"), nullptr);
  EXPECT_EQ(as_text(zip->data(zip->entries()[0]).value()), "AAA");
  EXPECT_EQ(as_text(zip->data(*zip->find("b")).value()), "BBB");
}

TEST(Zip, ReadsExtraFieldsAndComments) { expect_a_and_b(zip_archive()); }

TEST(Zip, ReadsZip64Records) {
  Variant variant;
  variant.zip64 = true;
  expect_a_and_b(zip_archive(variant));
}

TEST(Zip, RefusesWhatItDoesNotRead) {
  EXPECT_THAT(zip_error(zip_archive({.flags = kFlagEncrypted})),
              HasSubstr("\"b\": the entry is encrypted"));
  EXPECT_THAT(zip_error(zip_archive({.disk = 3})), HasSubstr("another disk"));
  Variant disks;
  disks.disks = 2;
  EXPECT_THAT(zip_error(zip_archive(disks)), HasSubstr("several disks"));
  disks.zip64 = true;
  EXPECT_THAT(zip_error(zip_archive(disks)), HasSubstr("several disks"));

  const std::string compressed = zip_archive({.method = kDeflated, .full_size = 100});
  const auto zip = ZipReader::open(as_bytes(compressed));
  ASSERT_OK(zip);  // other entries stay readable
  const auto data = zip->data(*zip->find("b"));
  ASSERT_FALSE(data.has_value());
  EXPECT_EQ(data.error().code, ErrorCode::Unsupported);
  EXPECT_THAT(data.error().message, HasSubstr("\"b\" is compressed (deflate)"));
}

TEST(Zip, RefusesContradictions) {
  EXPECT_THAT(zip_error(zip_archive({.size = 4, .full_size = 3})),
              HasSubstr("takes 4 bytes for 3"));
  EXPECT_THAT(zip_error(zip_archive({.size = 40, .full_size = 40})),
              HasSubstr("\"b\": data: 40 bytes"));
  EXPECT_THAT(zip_error(zip_archive({.offset_of_b = 0})), HasSubstr("another name, \"a\""));
  EXPECT_THAT(zip_error(zip_archive({.offset_of_b = 5})),
              HasSubstr("expected a local header at offset 5"));
  EXPECT_THAT(zip_error(zip_archive({.offset_of_b = 0xFFFFFF00})), HasSubstr("local header"));
  EXPECT_THAT(zip_error(zip_archive({.local_name = "x"})), HasSubstr("another name, \"x\""));
  EXPECT_THAT(zip_error(zip_archive({.offset_of_b = 0, .local_name = "a", .name = "a"})),
              HasSubstr("two entries \"a\""));
  Variant variant;
  variant.directory_shift = 1;
  EXPECT_NE(zip_error(zip_archive(variant)), "no error");
  variant = {};
  variant.zip64 = true;
  variant.size64 = UINT64_MAX;
  EXPECT_THAT(zip_error(zip_archive(variant)), HasSubstr("data: 18446744073709551615 bytes"));
  variant.size64 = 3;
  variant.directory_shift = UINT64_MAX - 100;
  EXPECT_THAT(zip_error(zip_archive(variant)), HasSubstr("directory"));
}

TEST(Zip, RefusesOverlap) {
  // The first entry's data claims to run into the second entry.
  std::string bytes = zip_archive();
  const size_t record = bytes.find(little_endian(kDirectorySignature));
  for (const size_t field : {20, 24}) bytes.replace(record + field, 4, little_endian<uint32_t>(4));
  EXPECT_THAT(zip_error(bytes), HasSubstr("\"a\" and \"b\" overlap"));
}

TEST(Zip, EveryPrefixIsAnError) {
  Variant variant;
  variant.zip64 = true;
  for (const std::string& whole : {zip_archive(), zip_archive(variant), write({{"x/y", "data"}})}) {
    ASSERT_EQ(zip_error(whole), "no error");
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(zip_error(whole.substr(0, size)), "no error") << size;
    }
  }
}

TEST(Zip, WriterAlignsDataAndIsDeterministic) {
  std::vector<std::pair<std::string, std::string>> files;
  for (int i = 0; i < 70; ++i) files.emplace_back(std::string(i + 1, 'n'), std::string(i * 3, 'd'));
  const std::string bytes = write(files);
  EXPECT_EQ(bytes, write(files));
  const auto zip = ZipReader::open(as_bytes(bytes));
  ASSERT_OK(zip);
  ASSERT_EQ(zip->entries().size(), files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    const ZipEntry& entry = zip->entries()[i];
    EXPECT_EQ(entry.name, files[i].first);
    EXPECT_EQ(entry.data_offset % 64, 0u);
    EXPECT_EQ(as_text(zip->data(entry).value()), files[i].second);
    ASSERT_OK(zip->check_crc(entry));
  }
}

TEST(Zip, WriterCountsBeyond65535Entries) {
  MemorySink sink;
  ZipWriter writer(sink);
  const SourceRef nothing = memory_source("");
  for (int i = 0; i < 70'000; ++i) ASSERT_OK(writer.add(std::to_string(i), *nothing));
  ASSERT_OK(writer.finish());
  EXPECT_EQ(writer.bytes_written(), sink.data.size());
  const auto zip = ZipReader::open(sink.data);
  ASSERT_OK(zip);
  EXPECT_EQ(zip->entries().size(), 70'000u);
  EXPECT_NE(zip->find("69999"), nullptr);
}

TEST(Zip, FindsDamageByCrc) {
  std::string bytes = write({{"a", "good data"}});
  bytes[bytes.find("good")] ^= 1;
  const auto zip = ZipReader::open(as_bytes(bytes));
  ASSERT_OK(zip);
  const auto status = zip->check_crc(zip->entries()[0]);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("\"a\" at offset 64 is damaged"));
}

TEST(Zip, WriterHoldsASourceToItsSize) {
  class Short : public Source {
   public:
    uint64_t size() const override { return 5; }
    Status write_to(Sink& sink) const override { return sink.write(as_bytes("four")); }
  };
  MemorySink sink;
  ZipWriter writer(sink);
  EXPECT_FALSE(writer.add("a", Short()).has_value());
  EXPECT_FALSE(writer.add("", *memory_source("x")).has_value());
}

}  // namespace
}  // namespace diptych::checkpoint
