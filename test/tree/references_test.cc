// Files and pages of this project that its documents and comments name exist.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "testing/shared_data.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

fs::path source_file(const std::string& path) { return testing::source_path(path); }

std::string read_source(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool is_read(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".h",  ".cc", ".md",   ".txt",
                                                    ".py", ".sh", ".toml", ".cmake"};
  return kExtensions.count(path.extension()) != 0 || path.filename() == "Makefile";
}

// A path from the root, or from the folder of the file that names it, that begins with one of the
// root's folders and ends as the tree's files do: "docs/engine.md". (Folders called examples/ are
// upstream's.)
TEST(References, WhatIsNamedExists) {
  const std::regex path(
      "(^|[^A-Za-z0-9_./${}*<>-])((docs|src|test|fuzz|bench|scripts|demo|cmake|python)/"
      "[A-Za-z0-9_./-]*\\.(md|h|cc|py|sh|txt|jinja|pth|json|cmake))(?![A-Za-z0-9_])");
  size_t checked = 0;
  for (const char* root : {"README.md", "Makefile", "docs", "src", "test", "fuzz", "bench",
                           "scripts", "python", "demo", "examples"}) {
    std::vector<fs::path> files;
    if (fs::is_regular_file(source_file(root))) files.push_back(source_file(root));
    if (fs::is_directory(source_file(root))) {
      for (const auto& entry : fs::recursive_directory_iterator(source_file(root)))
        if (entry.is_regular_file() && is_read(entry.path())) files.push_back(entry.path());
    }
    for (const fs::path& file : files) {
      const std::string text = read_source(file);
      for (std::sregex_iterator at(text.begin(), text.end(), path), end; at != end; ++at) {
        const std::string named = (*at)[2];
        ++checked;
        EXPECT_TRUE(fs::exists(source_file(named)) || fs::exists(file.parent_path() / named))
            << file.lexically_relative(source_file(".")).string() << " names " << named;
      }
    }
  }
  EXPECT_GT(checked, 100U);
}

}  // namespace
}  // namespace diptych
