#include "coreml/memory_fs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/shared_data.h"

namespace diptych::coreml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::byte> write(const std::vector<FileEntry>& files) {
  auto source = write_memory_fs("root", files);
  EXPECT_TRUE(source.has_value());
  auto bytes = read_all(**source);
  EXPECT_EQ(bytes->size(), (*source)->size());
  return *bytes;
}

// A blob of `data` and an index given as text.
std::string blob(std::string_view data, std::string index) {
  std::reverse(index.begin(), index.end());
  return std::string(data) + index;
}

std::string read_error(std::string_view text) {
  const auto fs = read_memory_fs(as_bytes(text), nullptr);
  return fs ? "no error" : fs.error().to_string();
}

std::string file_node(std::string_view name, int64_t offset, int64_t size) {
  return fmt::format(
      R"({{"children":{{}},"dataRegion":{{"offset":{},"size":{}}},"kind":0,"name":"{}"}})", offset,
      size, name);
}
std::string directory_node(std::string_view children, std::string_view name = "root") {
  return fmt::format(
      R"({{"children":{{{}}},"dataRegion":{{"offset":0,"size":0}},"kind":1,"name":"{}"}})",
      children, name);
}
std::string nodes(const std::vector<std::string>& list) {
  return fmt::format(R"({{"nodes":[{}]}})", fmt::join(list, ","));
}

TEST(MemoryFs, WritesDataThenTheIndexBackwards) {
  const auto bytes = write({{"a/one", memory_source("ONE")}, {"two", memory_source("TW")}});
  std::string text(as_text(bytes));
  ASSERT_EQ(text.substr(0, 5), "ONETW");
  std::string index = text.substr(5);
  std::reverse(index.begin(), index.end());
  EXPECT_EQ(index, nodes({file_node("one", 0, 3), directory_node(R"("one":0)", "a"),
                          file_node("two", 3, 2), directory_node(R"("a":1,"two":2)")}));
}

TEST(MemoryFs, ReadsWhatItWrites) {
  const auto bytes = write({{"z", memory_source("first")},
                            {"a/b/c", memory_source("second")},
                            {"a/empty", memory_source("")},
                            {"a/quote\"d", memory_source("}{")}});
  const auto fs = read_memory_fs(bytes, nullptr);
  ASSERT_OK(fs);
  EXPECT_EQ(fs->root_name, "root");
  std::vector<std::string> listing;
  for (const auto& [path, file] : fs->files) {
    listing.push_back(path + "=" + std::string(as_text(file.bytes)));
  }
  EXPECT_THAT(listing, ElementsAre("a/b/c=second", "a/empty=", "a/quote\"d=}{", "z=first"));
  EXPECT_EQ(fs->files.at("z").bytes.data(), bytes.data()) << "the first file starts the blob";
}

TEST(MemoryFs, HonoursGapsZerosAtTheEndAndAnyOrder) {
  const std::string text =
      blob("..BB.A...",
           nodes({file_node("a", 5, 1), file_node("b", 2, 2), directory_node(R"("b":1,"a":0)")})) +
      std::string(100, '\0');
  const auto fs = read_memory_fs(as_bytes(text), nullptr);
  ASSERT_OK(fs);
  EXPECT_EQ(as_text(fs->files.at("a").bytes), "A");
  EXPECT_EQ(as_text(fs->files.at("b").bytes), "BB");
}

TEST(MemoryFs, RefusesWhatIsNoTree) {
  const std::string a = file_node("a", 0, 1);
  EXPECT_EQ(read_error(blob("x", nodes({a, directory_node(R"("a":0)")}))), "no error");
  EXPECT_THAT(read_error(""), HasSubstr("found nothing"));
  EXPECT_THAT(read_error("abc"), HasSubstr("0x63"));
  EXPECT_THAT(read_error("}}\"{"), HasSubstr("no beginning"));
  EXPECT_THAT(read_error(blob("x", "{}")), HasSubstr("\"nodes\" is missing"));
  EXPECT_THAT(read_error(blob("x", nodes({}))), HasSubstr("1 to 4096"));
  EXPECT_THAT(read_error(blob("x", nodes({a}))), HasSubstr("root directory"));
  EXPECT_THAT(read_error(blob("x", nodes({directory_node(R"("root":0)")}))),
              HasSubstr("expected an index below 0, found 0"));
  EXPECT_THAT(read_error(blob("x", nodes({a, directory_node(R"("a":-1)")}))),
              HasSubstr("found -1"));
  EXPECT_THAT(read_error(blob("x", nodes({a, directory_node(R"("b":0)")}))),
              HasSubstr("listed as \"b\", named \"a\""));
  EXPECT_THAT(read_error(blob("x", nodes({a, directory_node(R"("a":0)", "d"),
                                          directory_node(R"("d":1,"a":0)")}))),
              HasSubstr("in two directories"));
}

TEST(MemoryFs, RefusesRegionsOutsideTheData) {
  for (const auto& [offset, size] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 2}, {2, 0}, {1, 1}, {INT64_MAX, INT64_MAX}, {-1, 1}, {0, -1}}) {
    const std::string index = nodes({file_node("a", offset, size), directory_node(R"("a":0)")});
    EXPECT_NE(read_error(blob("x", index)), "no error") << offset << " " << size;
  }
}

TEST(MemoryFs, RefusesNamesThatLeaveTheTree) {
  for (const char* name : {"", ".", "..", "a/b", "/", "a\\\\b", "a\\u0000"}) {
    const std::string index =
        nodes({file_node(name, 0, 1), directory_node(fmt::format("\"{}\":0", name))});
    EXPECT_THAT(read_error(blob("x", index)),
                ::testing::AnyOf(HasSubstr("relative path"), HasSubstr("name of a file")))
        << name;
  }
}

TEST(MemoryFs, BoundsDepthAndNodes) {
  std::vector<std::string> deep = {file_node("d", 0, 0)};
  for (int i = 0; i < 20; ++i) deep.push_back(directory_node(fmt::format("\"d\":{}", i), "d"));
  EXPECT_THAT(read_error(blob("", nodes(deep))), HasSubstr("nested deeper"));
  std::vector<std::string> many(5000, file_node("d", 0, 0));
  many.push_back(directory_node(""));
  EXPECT_THAT(read_error(blob("", nodes(many))), HasSubstr("1 to 4096"));
}

TEST(MemoryFs, RefusesToWriteTwoFilesOfOneName) {
  const SourceRef file = memory_source("x");
  EXPECT_FALSE(write_memory_fs("root", {{"a", file}, {"a", file}}).has_value());
  EXPECT_FALSE(write_memory_fs("root", {{"a", file}, {"a/b", file}}).has_value());
  EXPECT_FALSE(write_memory_fs("root", {{"a/b", file}, {"a", file}}).has_value());
  EXPECT_FALSE(write_memory_fs("root", {{"../a", file}}).has_value());
  EXPECT_FALSE(write_memory_fs("root", {{"/a", file}}).has_value());
}

}  // namespace
}  // namespace diptych::coreml
