#include "tools/extract.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "coreml/memory_fs.h"
#include "coreml/package.h"
#include "pte/reader.h"
#include "sample.h"
#include "testing/shared_data.h"

namespace diptych::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

// A folder per test, with the file to extract from beside nothing else.
class ExtractTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::diptych::testing::temporary_directory()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_ / "in");
  }

  Result<std::vector<ExtractedPackage>> extract_from(const pte::Program& program,
                                                     const std::string& to = "out") {
    const std::string path = (folder_ / "in" / "model.pte").string();
    const std::vector<std::byte> file = tools::testing::file_of(program);
    EXPECT_TRUE(write_file(path, file).has_value());
    return extract(path, (folder_ / to).string());
  }

  // Names in the folder, apart from the input.
  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().filename() != "in") names.push_back(entry.path().filename().string());
    }
    return names;
  }

  fs::path folder_;
};

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The files under a directory are those of a blob.
void expect_contents(const fs::path& directory, Bytes blob) {
  const auto written = coreml::map_directory(directory.string());
  const auto expected = coreml::read_memory_fs(blob, nullptr);
  ASSERT_OK(written);
  ASSERT_OK(expected);
  EXPECT_EQ(written->size(), expected->files.size());
  for (const auto& [path, file] : expected->files) {
    const auto found = written->find(expected->root_name + "/" + path);
    ASSERT_NE(found, written->end()) << path;
    EXPECT_TRUE(std::ranges::equal(found->second.bytes, file.bytes)) << path;
  }
}

TEST_F(ExtractTest, PackagesInNamedDataOnceUnderTheirKeys) {
  const pte::Program program = tools::testing::shared_program();
  const std::string key = program.named_data[0].key;
  const auto packages = extract_from(program, "out/");
  ASSERT_OK(packages);
  ASSERT_EQ(packages->size(), 1u);
  const fs::path out = folder_ / "out";
  EXPECT_EQ((*packages)[0].path, (out / key / tools::testing::kRoot / "model.mlpackage").string());
  EXPECT_THAT(names_in(out), ElementsAre(key));
  EXPECT_THAT(left(), ElementsAre("out"));
  expect_contents(out / key, program.named_data[0].data.bytes());
  const auto model = coreml::read_package(*coreml::map_directory((*packages)[0].path));
  ASSERT_OK(model);
  EXPECT_NE(model->program.find("prefill"), nullptr);
}

TEST_F(ExtractTest, OtherPackagesAreNumbered) {
  const pte::Program program = tools::testing::legacy_program();
  const auto packages = extract_from(program);
  ASSERT_OK(packages);
  EXPECT_THAT(names_in(folder_ / "out"), ElementsAre("model_1", "model_2"));
  for (size_t i = 0; i < 2; ++i) {
    expect_contents(folder_ / "out" / fmt::format("model_{}", i + 1),
                    program.methods[i].delegates[0].processed.bytes());
  }
}

TEST_F(ExtractTest, ReplacesEarlierPackagesAndNothingElse) {
  // An earlier extract, of another file.
  const fs::path package = folder_ / "out" / "model_1" / "stale" / "model.mlpackage";
  fs::create_directories(package);
  ASSERT_OK(write_file((package / "Manifest.json").string(), as_bytes("{}")));
  ASSERT_OK(write_file((package / "weight.bin").string(), as_bytes("x")));
  ASSERT_OK(write_file((package.parent_path() / "metadata.json").string(), as_bytes("{}")));
  fs::create_directories(folder_ / "out" / "mine");
  fs::permissions(folder_ / "out", static_cast<fs::perms>(0700));
  for (int i = 0; i < 2; ++i) {  // and its own
    ASSERT_OK(extract_from(tools::testing::legacy_program()));
    EXPECT_THAT(names_in(folder_ / "out"), ElementsAre("mine", "model_1", "model_2"));
    EXPECT_THAT(names_in(folder_ / "out" / "model_1"), ElementsAre(tools::testing::kRoot));
    EXPECT_THAT(left(), ElementsAre("out"));
    EXPECT_EQ(fs::status(folder_ / "out").permissions(), static_cast<fs::perms>(0700));
  }
}

TEST_F(ExtractTest, WhatIsNoEarlierExtractStays) {
  const fs::path place = folder_ / "out" / "model_2", package = place / "root" / "a.mlpackage";
  const auto expect_refusal = [&](const char* message) {
    const auto packages = extract_from(tools::testing::legacy_program());
    ASSERT_FALSE(packages.has_value()) << message;
    EXPECT_EQ(packages.error().to_string(),
              place.string() + ": expected nothing or an earlier extract to replace, but " +
                  message + "; remove it, or name another directory");
    EXPECT_THAT(names_in(folder_ / "out"), ElementsAre("model_2"));
    EXPECT_THAT(left(), ElementsAre("out"));
  };
  fs::create_directories(place);
  expect_refusal("it holds no .mlpackage");
  ASSERT_OK(write_file((place / "metadata.json").string(), as_bytes("{}")));
  expect_refusal("it holds no .mlpackage");
  fs::create_directories(package);  // without a manifest
  expect_refusal("it holds no .mlpackage");
  ASSERT_OK(write_file((package / "Manifest.json").string(), as_bytes("{}")));
  ASSERT_OK(write_file((place / "root" / "thesis.txt").string(), as_bytes("mine")));
  expect_refusal("it holds \"thesis.txt\"");
  fs::remove(place / "root" / "thesis.txt");
  fs::create_symlink("a.mlpackage", place / "root" / "link.json");
  expect_refusal("it holds \"link.json\"");
  EXPECT_TRUE(fs::exists(package / "Manifest.json"));
  fs::remove_all(place);
  ASSERT_OK(write_file(place.string(), as_bytes("mine")));
  expect_refusal("it is no directory");
  fs::remove(place);
  fs::create_directory_symlink(folder_, place);
  expect_refusal("it is no directory");
}

TEST_F(ExtractTest, ALinkToADirectoryIsFollowed) {
  fs::create_directories(folder_ / "real");
  fs::create_directory_symlink("real", folder_ / "out");
  ASSERT_OK(extract_from(tools::testing::legacy_program()));
  EXPECT_TRUE(fs::is_symlink(folder_ / "out"));
  EXPECT_THAT(names_in(folder_ / "real"), ElementsAre("model_1", "model_2"));
  EXPECT_THAT(left(), ::testing::UnorderedElementsAre("out", "real"));
}

TEST_F(ExtractTest, LeavesNothingBehindOnFailure) {
  const auto expect_failure = [&](const pte::Program& program, const char* message) {
    const auto packages = extract_from(program);
    ASSERT_FALSE(packages.has_value()) << message;
    EXPECT_THAT(packages.error().to_string(), HasSubstr(message));
    EXPECT_THAT(left(), IsEmpty());
  };
  // The second of two partitions is damaged.
  pte::Program program = tools::testing::legacy_program();
  program.methods[1].delegates[0].processed = pte::Blob::own("no file system");
  expect_failure(program, "method prefill, partition 0: ");

  program = tools::testing::shared_program();
  program.named_data.clear();
  expect_failure(program, "which the file does not hold");

  for (const std::string key : {"../up", "a/b", "/absolute"}) {
    program = tools::testing::shared_program();
    program.named_data[0].key = key;
    for (pte::Method& method : program.methods) {
      method.delegates[0].processed = pte::Blob::own(coreml::format_reference({key, method.name}));
    }
    expect_failure(program, "key of named data");
  }

  program = tools::testing::legacy_program();
  for (pte::Method& method : program.methods) method.delegates[0].backend = "OtherBackend";
  expect_failure(program, "expected delegates of CoreMLBackend, found those of\n  OtherBackend");
}

TEST_F(ExtractTest, CompiledModelsAreRefused) {
  pte::Program program = tools::testing::legacy_program();
  program.methods[0].delegates[0].processed = tools::testing::compiled_payload();
  EXPECT_THAT(extract_from(program).error().to_string(),
              HasSubstr("method forward, partition 0: the delegate holds a compiled model"));
  EXPECT_THAT(left(), IsEmpty());
}

TEST_F(ExtractTest, AFileInTheWayStays) {
  ASSERT_OK(write_file((folder_ / "out").string(), as_bytes("mine")));
  const auto packages = extract_from(tools::testing::legacy_program());
  ASSERT_FALSE(packages.has_value());
  EXPECT_THAT(packages.error().to_string(), HasSubstr("expected a directory"));
  EXPECT_EQ(*read_text_file((folder_ / "out").string()), "mine");
}

TEST_F(ExtractTest, UpstreamsFiles) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte");
  size_t compared = 0;
  for (const auto& entry : fs::directory_iterator(::diptych::testing::shared_data("golden/pte"))) {
    SCOPED_TRACE(entry.path().string());
    const fs::path out = folder_ / entry.path().stem();
    ASSERT_OK(extract(entry.path().string(), out.string()));
    const auto file = MappedFile::open(entry.path().string());
    const pte::Program program = *pte::read((*file)->bytes());
    if (!program.named_data.empty()) {
      EXPECT_EQ(names_in(out).size(), program.named_data.size());
      for (const pte::NamedData& data : program.named_data) {
        expect_contents(out / data.key, data.data.bytes());
        ++compared;
      }
      continue;
    }
    const auto& delegates = pte::find_method(program, "forward")->delegates;
    EXPECT_EQ(names_in(out).size(), delegates.size());
    for (size_t i = 0; i < delegates.size(); ++i) {
      expect_contents(out / fmt::format("model_{}", i + 1), delegates[i].processed.bytes());
      ++compared;
    }
  }
  EXPECT_GT(compared, 0u);
}

}  // namespace
}  // namespace diptych::tools
