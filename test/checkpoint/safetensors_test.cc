#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/safetensors_reader.h"
#include "checkpoint/safetensors_writer.h"
#include "testing/shared_data.h"

namespace diptych::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string file_of(std::string_view header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  file += header;
  file.append(data_bytes, '\x01');
  return file;
}

// The error of reading a file with this header and so many bytes of data.
std::string refusal(std::string_view header, size_t data_bytes) {
  const std::string file = file_of(header, data_bytes);
  const auto checkpoint = open(as_bytes(file), nullptr, "x.safetensors");
  return checkpoint ? "read" : checkpoint.error().to_string();
}

TEST(Safetensors, WhatIsWrittenIsRead) {
  const std::vector<NamedWeight> tensors = {{"b", random_weight({DType::BF16, {3, 5}}, 1)},
                                            {"a", random_weight({DType::F32, {7}}, 2)},
                                            {"scalar", random_weight({DType::F16, {}}, 3)},
                                            {"none", random_weight({DType::F16, {0, 4}}, 4)}};
  MemorySink file;
  Progress silent;
  ASSERT_OK(write_safetensors(file, tensors, silent));
  EXPECT_EQ(load<uint64_t>(file.data.data()) % 8, 0u);
  const auto checkpoint = open(file.data, nullptr, "x");
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->format, Format::Safetensors);
  EXPECT_EQ(checkpoint->config, nullptr);
  ASSERT_EQ(checkpoint->tensors.size(), tensors.size());
  for (const auto& [name, weight] : tensors) {
    const WeightRef found = checkpoint->find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->type(), weight->type()) << name;
    EXPECT_EQ(read_floats(*found).value(), read_floats(*weight).value()) << name;
  }
}

TEST(Safetensors, RefusesDamage) {
  const auto entry = [](std::string_view offsets) {
    return fmt::format(R"({{"a":{{"dtype":"F32","shape":[2],"data_offsets":{}}}}})", offsets);
  };
  EXPECT_EQ(refusal(entry("[0,8]"), 8), "read");
  EXPECT_THAT(refusal(entry("[0,8]"), 7), HasSubstr("but the file ends at 7; is it whole?"));
  EXPECT_THAT(refusal(entry("[0,8]"), 9), HasSubstr("the tensors end at 8 of the data"));
  EXPECT_THAT(refusal(entry("[0,7]"), 8), HasSubstr("fp32[2] needs 8 bytes"));
  EXPECT_THAT(refusal(entry("[8,0]"), 8), HasSubstr("needs 8 bytes"));
  EXPECT_THAT(refusal(entry("[18446744073709551612,4]"), 8), HasSubstr("needs 8 bytes"));
  EXPECT_THAT(refusal(entry("[-1,7]"), 8), HasSubstr("expected a count, found -1"));
  EXPECT_THAT(refusal(entry("[0]"), 8), HasSubstr("expected two numbers"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                      8),
              HasSubstr("tensor \"b\" begins at 4 of the data, expected 8: tensors overlap"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[1,3]}})", 3),
              HasSubstr("tensor \"a\" begins at 1 of the data, expected 0: there is a gap"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],)"
                      R"("data_offsets":[0,8]}})",
                      8),
              HasSubstr("tensor \"a\""));
  EXPECT_THAT(refusal(R"({"a":3})", 0), HasSubstr("tensor \"a\""));
  EXPECT_THAT(refusal(R"({"a":)", 0), HasSubstr("malformed JSON"));
  EXPECT_THAT(refusal(R"({"__metadata__":{}})", 0), HasSubstr("holds no tensors"));
  const std::string longer = file_of("{}", 0);
  std::string cut = longer;
  cut[0] = '\x40';
  EXPECT_THAT(open(as_bytes(cut), nullptr, "x").error().to_string(), HasSubstr("header"));
}

TEST(Safetensors, NamesTypesThatAreNotRead) {
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]},)"
                      R"("b":{"dtype":"I64","shape":[1],"data_offsets":[2,10]}})",
                      10),
              ::testing::AllOf(HasSubstr("tensor \"a\": element type \"F8_E4M3\", expected F32, "
                                         "F16 or BF16"),
                               HasSubstr("tensor \"b\": element type \"I64\"")));
}

TEST(ShardIndex, SaysWhichFileHasWhat) {
  const auto index = parse_shard_index(
      R"({"metadata":{},"weight_map":{"x":"2.safetensors","y":"1.safetensors","z":"2.safetensors"}})");
  ASSERT_OK(index);
  EXPECT_THAT(index->files, ElementsAre("2.safetensors", "1.safetensors"));
  EXPECT_THAT(index->tensors, ElementsAre(Pair("x", 0), Pair("y", 1), Pair("z", 0)));
}

TEST(ShardIndex, RefusesFilesElsewhere) {
  for (const char* file : {"../secret", "/etc/passwd", "", "..", "a/b"}) {
    const auto index = parse_shard_index(fmt::format(R"({{"weight_map":{{"x":"{}"}}}})", file));
    EXPECT_THAT(index.error().to_string(), HasSubstr("expected a file of the same directory"));
  }
  EXPECT_FALSE(parse_shard_index(R"({"weight_map":{}})"));
  EXPECT_FALSE(parse_shard_index(R"({"weight_map":{"x":1}})"));
  EXPECT_FALSE(parse_shard_index("[]"));
}

TEST(Safetensors, ShapesAreOfFewAxes) {
  std::string shape = "1";
  for (int i = 1; i < 5000; ++i) shape += ",1";
  const std::string header =
      R"({"a":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[0,4]}})";
  const auto size = static_cast<uint64_t>(header.size());
  std::string file(reinterpret_cast<const char*>(&size), 8);
  file += header + "1234";
  const auto result = read_safetensors(as_bytes(file), nullptr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().to_string(), "tensor \"a\": \"shape\": 5000 axes, expected at most 8");
}

}  // namespace
}  // namespace diptych::checkpoint
