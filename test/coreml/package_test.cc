#include "coreml/package.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "testing/shared_data.h"

namespace diptych::coreml {
namespace {

TEST(Package, IsToldByNameAndPlace) {
  namespace fs = std::filesystem;
  const fs::path root = diptych::testing::temporary_directory();
  for (const char* directory : {"a.mlpackage", "b.mlmodelc", "named otherwise", "empty"}) {
    fs::create_directories(root / directory);
  }
  ASSERT_TRUE(write_file((root / "named otherwise/Manifest.json").string(), as_bytes("{}")));
  const auto is = [&](const std::string& name) { return is_model_path((root / name).string()); };
  EXPECT_TRUE(is("a.mlpackage"));
  EXPECT_TRUE(is("a.mlpackage/"));
  EXPECT_TRUE(is("b.mlmodelc"));
  EXPECT_TRUE(is("named otherwise"));
  EXPECT_TRUE(is("there is no such.mlmodel"));
  EXPECT_FALSE(is("empty"));
  EXPECT_FALSE(is("no such.mlpackage"));
  EXPECT_FALSE(is("named otherwise/Manifest.json"));
}

TEST(Package, PathsThatCannotBeLookedAtAreNone) {
  EXPECT_FALSE(is_model_path(""));
  EXPECT_FALSE(is_model_path(std::string(5000, 'x')));
  EXPECT_FALSE(is_model_path("/" + std::string(5000, 'x') + "/model.mlpackage"));
}

}  // namespace
}  // namespace diptych::coreml
