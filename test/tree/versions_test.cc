// The version is said where CMake, Python and a reader of the changes look for it.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "testing/shared_data.h"

namespace diptych {
namespace {

// The first group of the first match in a file of the project.
std::string found(const char* file, const char* pattern) {
  std::ifstream in(testing::source_path(file));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::smatch match;
  EXPECT_TRUE(std::regex_search(text, match, std::regex(pattern))) << file;
  return match.empty() ? "" : match[1].str();
}

TEST(Versions, AreTheSameEverywhere) {
  const std::string version = found("CMakeLists.txt", R"(project\(diptych VERSION ([0-9.]+))");
  EXPECT_EQ(found("pyproject.toml", R"RE(version = "([0-9.]+)")RE"), version);
  EXPECT_EQ(found("CHANGELOG.md", R"(\n## ([0-9.]+))"), version);
}

}  // namespace
}  // namespace diptych
