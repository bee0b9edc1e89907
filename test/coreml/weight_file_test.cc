#include "coreml/weight_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "testing/shared_data.h"

namespace diptych::coreml {
namespace {

using ::testing::HasSubstr;

const TensorType kInt4Type{DType::Int4, {3, 5}};
const TensorType kHalfType{DType::F16, {40}};

std::vector<std::byte> contents(const Weight& weight) {
  return std::vector<std::byte>(weight.bytes()->begin(), weight.bytes()->end());
}

std::vector<std::byte> sample_file() {
  WeightFileBuilder builder;
  EXPECT_EQ(builder.add(random_weight(kInt4Type, 1)), 64u);
  EXPECT_EQ(builder.add(random_weight(kHalfType, 2)), 192u);
  return *read_all(*builder.source());
}

// Reads the record at `offset` of a file made by sample_file() with one field overwritten.
template <class T>
Result<WeightRef> read_damaged(size_t at, T value, uint64_t offset, const TensorType& type) {
  std::vector<std::byte> bytes = sample_file();
  std::memcpy(bytes.data() + at, &value, sizeof value);
  auto file = WeightFile::open(bytes, nullptr);
  if (!file) return tl::unexpected(file.error());
  auto weight = file->weight(offset, type);
  if (!weight) return tl::unexpected(weight.error());
  return WeightRef();  // it would outlive `bytes`
}

TEST(WeightFile, LaysOutHeaderRecordsDataAndFill) {
  const auto bytes = sample_file();
  // Header, record, 8 bytes of int4, fill, record, 80 bytes of fp16 and nothing after them.
  ASSERT_EQ(bytes.size(), 64u + 64 + 64 + 64 + 80);
  EXPECT_EQ(load<uint32_t>(&bytes[0]), 2u);
  EXPECT_EQ(load<uint32_t>(&bytes[4]), 2u);
  EXPECT_EQ(load<uint32_t>(&bytes[64]), 0xDEADBEEF);
  EXPECT_EQ(load<uint32_t>(&bytes[68]), 8u);
  EXPECT_EQ(load<uint64_t>(&bytes[72]), 8u);
  EXPECT_EQ(load<uint64_t>(&bytes[80]), 128u);
  EXPECT_EQ(load<uint64_t>(&bytes[88]), 4u);
  EXPECT_EQ(load<uint32_t>(&bytes[196]), 1u);
  EXPECT_EQ(load<uint64_t>(&bytes[208]), 256u);
  EXPECT_EQ(load<uint64_t>(&bytes[216]), 0u);
}

TEST(WeightFile, KnowsItsSizeBeforeItIsWritten) {
  WeightFileBuilder builder;
  EXPECT_EQ(builder.source()->size(), 64u);
  EXPECT_EQ(read_all(*builder.source())->size(), 64u);
  ASSERT_OK(builder.add(random_weight({DType::UInt3, {7}}, 1)));
  EXPECT_EQ(builder.source()->size(), 64u + 64 + 3);
  EXPECT_EQ(read_all(*builder.source())->size(), 64u + 64 + 3);
}

TEST(WeightFile, ReadsBackEveryStorableType) {
  WeightFileBuilder builder;
  std::vector<std::pair<uint64_t, WeightRef>> added;
  for (int i = 0; i <= static_cast<int>(DType::F64); ++i) {
    const auto dtype = static_cast<DType>(i);
    if (!storage_code(dtype)) {
      EXPECT_FALSE(dtype != DType::String && builder.add(zeros({dtype, {1}})));
      continue;
    }
    const TensorType type{dtype, {11}};
    std::vector<std::byte> packed(*packed_size(type));
    for (size_t k = 0; k < packed.size(); ++k) packed[k] = std::byte(37 * k + 11);
    const WeightRef weight = *memory_weight(type, packed);
    added.emplace_back(*builder.add(weight), weight);
  }
  EXPECT_EQ(added.size(), 17u);
  const auto bytes = *read_all(*builder.source());
  // At an odd address, as files of other tools lie.
  std::vector<std::byte> shifted(1);
  shifted.insert(shifted.end(), bytes.begin(), bytes.end());
  auto file = WeightFile::open(Bytes(shifted).subspan(1), nullptr);
  ASSERT_OK(file);
  for (const auto& [offset, weight] : added) {
    const auto read = file->weight(offset, weight->type());
    ASSERT_OK(read);
    EXPECT_EQ(contents(**read), *read_all(*packed_source(weight))) << to_string(weight->type());
  }
  ASSERT_OK(file->entries());
  EXPECT_EQ(file->entries()->size(), added.size());
}

TEST(WeightFile, StoresAWeightOnce) {
  WeightFileBuilder builder;
  const WeightRef weight = random_weight(kHalfType, 1);
  EXPECT_EQ(*builder.add(weight), *builder.add(weight));
  EXPECT_NE(*builder.add(weight), *builder.add(random_weight(kHalfType, 1)));
  EXPECT_EQ(builder.weights().size(), 2u);
}

TEST(WeightFile, GivesTheSameObjectForTheSameRecord) {
  const auto bytes = sample_file();
  auto file = WeightFile::open(bytes, nullptr);
  ASSERT_OK(file);
  const auto first = file->weight(192, kHalfType);
  ASSERT_OK(first);
  EXPECT_EQ(*first, *file->weight(192, kHalfType));
  const auto reshaped = file->weight(192, {DType::F16, {8, 5}});
  ASSERT_OK(reshaped);
  EXPECT_NE(*first, *reshaped);
}

TEST(WeightFile, KeepsItsOwnerAlive) {
  auto owner = std::make_shared<std::vector<std::byte>>(sample_file());
  std::weak_ptr<std::vector<std::byte>> watch = owner;
  WeightRef weight;
  {
    auto file = WeightFile::open(*owner, owner);
    ASSERT_OK(file);
    weight = *file->weight(192, kHalfType);
  }
  owner.reset();
  EXPECT_FALSE(watch.expired());
  weight.reset();
  EXPECT_TRUE(watch.expired());
}

TEST(WeightFile, RefusesDamagedRecords) {
  const auto message = [](const Result<WeightRef>& result) {
    return result ? std::string("no error") : result.error().to_string();
  };
  EXPECT_EQ(message(read_damaged(0, uint32_t{2}, 64, kInt4Type)), "no error");
  EXPECT_THAT(message(read_damaged(4, uint32_t{1}, 64, kInt4Type)), HasSubstr("version 1"));
  EXPECT_THAT(message(read_damaged(64, uint32_t{0}, 64, kInt4Type)), HasSubstr("0xdeadbeef"));
  EXPECT_THAT(message(read_damaged(68, uint32_t{11}, 64, kInt4Type)),
              HasSubstr("expects int4[3,5], the record holds uint4"));
  EXPECT_THAT(message(read_damaged(68, uint32_t{99}, 64, kInt4Type)), HasSubstr("unknown type 99"));
  EXPECT_THAT(message(read_damaged(72, uint64_t{9}, 64, kInt4Type)),
              HasSubstr("needs 8 bytes, the record has 9"));
  EXPECT_THAT(message(read_damaged(72, ~uint64_t{0}, 64, kInt4Type)), HasSubstr("exceed"));
  EXPECT_THAT(message(read_damaged(80, uint64_t{64}, 64, kInt4Type)),
              HasSubstr("expected its data at 128, found 64"));
  EXPECT_THAT(message(read_damaged(88, uint64_t{0}, 64, kInt4Type)),
              HasSubstr("leaves 4 bits unused, the record says 0"));
  // Only types narrower than a byte have padding; older files have anything there.
  EXPECT_EQ(message(read_damaged(216, uint64_t{77}, 192, kHalfType)), "no error");
  EXPECT_THAT(message(read_damaged(0, uint32_t{2}, 63, kInt4Type)), HasSubstr("multiple of 64"));
  EXPECT_THAT(message(read_damaged(0, uint32_t{2}, 0, kInt4Type)), HasSubstr("multiple of 64"));
  EXPECT_THAT(message(read_damaged(0, uint32_t{2}, 320, kInt4Type)), HasSubstr("exceed"));
  EXPECT_THAT(message(read_damaged(0, uint32_t{2}, ~uint64_t{63}, kInt4Type)), HasSubstr("exceed"));
  EXPECT_THAT(message(read_damaged(0, uint32_t{2}, 64, {DType::Bool, {8}})), HasSubstr("bool[8]"));
}

TEST(WeightFile, ListsRecordsUpToTheDamage) {
  auto bytes = sample_file();
  bytes[0] = std::byte{3};  // one record more than there is
  const auto file = WeightFile::open(bytes, nullptr);
  ASSERT_OK(file);
  EXPECT_FALSE(file->entries().has_value());
  EXPECT_FALSE(WeightFile::open(Bytes(bytes).first(63), nullptr).has_value());
  EXPECT_EQ(WeightFile().entries()->size(), 0u);
}

}  // namespace
}  // namespace diptych::coreml
