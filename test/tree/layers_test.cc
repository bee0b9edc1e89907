// The layers of src/ are what docs/architecture.md says: its table names every folder, lowest
// first, with those that it depends on. An include that the table does not allow, or a link line
// of CMake that says otherwise, fails here.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "testing/shared_data.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

std::string read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

fs::path source(const std::string& path) { return testing::source_path(path); }

Names words_of(const std::string& text) {
  Names names;
  const std::regex word("[a-z_]+");
  for (std::sregex_iterator at(text.begin(), text.end(), word), end; at != end; ++at)
    names.insert(at->str());
  return names;
}

// The rows "| `folder` | what it holds | a, b |" of the table, in order. "–": nothing; "all": every
// folder above.
struct Layer {
  std::string folder;
  Names direct;   // as the table says
  Names allowed;  // with all that those depend on
};

std::vector<Layer> layers() {
  std::vector<Layer> rows;
  std::map<std::string, Names> below;
  Names above;
  std::istringstream text(read(source("docs/architecture.md")));
  const std::regex row("\\| `([a-z_]+)` \\| .* \\| ([^|]*) \\|");
  std::smatch match;
  for (std::string line; std::getline(text, line);) {
    if (!std::regex_match(line, match, row)) continue;
    Layer layer{match[1], match[2] == "all" ? above : words_of(match[2]), {}};
    for (const std::string& name : layer.direct) {
      layer.allowed.insert(name);
      layer.allowed.insert(below[name].begin(), below[name].end());
    }
    below[layer.folder] = layer.allowed;
    above.insert(layer.folder);
    rows.push_back(std::move(layer));
  }
  return rows;
}

// The folders that a folder's files include.
std::map<std::string, Names> includes_of(const std::string& folder) {
  std::map<std::string, Names> files;
  const std::regex include("#include \"([a-z_]+)/");
  for (const auto& entry : fs::recursive_directory_iterator(source("src/" + folder))) {
    const std::string extension = entry.path().extension();
    if (extension != ".h" && extension != ".cc" && extension != ".inc") continue;
    const std::string text = read(entry.path());
    Names& names = files[entry.path().lexically_relative(source(".")).string()];
    for (std::sregex_iterator at(text.begin(), text.end(), include), end; at != end; ++at)
      names.insert((*at)[1]);
  }
  return files;
}

TEST(Layers, TheTableNamesEveryFolder) {
  Names named, found;
  for (const Layer& layer : layers()) {
    for (const std::string& name : layer.direct)
      EXPECT_TRUE(named.count(name))
          << layer.folder << " depends on " << name << ", which does not come before it";
    EXPECT_TRUE(named.insert(layer.folder).second) << layer.folder << " has two rows";
  }
  for (const auto& entry : fs::directory_iterator(source("src")))
    if (entry.is_directory()) found.insert(entry.path().filename());
  EXPECT_EQ(named, found);
}

TEST(Layers, IncludesKeepToTheTable) {
  Names folders;
  for (const Layer& layer : layers()) folders.insert(layer.folder);
  for (const Layer& layer : layers()) {
    for (const auto& [file, names] : includes_of(layer.folder)) {
      for (const std::string& name : names) {
        if (name == layer.folder || !folders.count(name)) continue;
        EXPECT_TRUE(layer.allowed.count(name))
            << file << " includes " << name << "/, which " << layer.folder
            << " does not depend on by docs/architecture.md";
      }
    }
  }
}

// DEPENDS of diptych_library(), or the libraries that an executable or plug-in is linked to.
TEST(Layers, LinkLinesAreThoseOfTheTable) {
  const std::regex depends("DEPENDS ([a-z_\\s]+)"), linked("diptych_([a-z_]+)");
  for (const Layer& layer : layers()) {
    const std::string cmake = read(source("src/" + layer.folder + "/CMakeLists.txt"));
    Names names;
    std::smatch match;
    const size_t library = cmake.find("diptych_library(" + layer.folder);
    if (library != std::string::npos) {
      const std::string line = cmake.substr(library, cmake.find(')', library) - library);
      if (std::regex_search(line, match, depends)) names = words_of(match[1]);
    } else {
      const size_t begin = cmake.find("target_link_libraries(");
      ASSERT_NE(begin, std::string::npos) << layer.folder;
      const std::string line = cmake.substr(begin, cmake.find(')', begin) - begin);
      for (std::sregex_iterator at(line.begin(), line.end(), linked), end; at != end; ++at) {
        if (fs::is_directory(source("src/" + (*at)[1].str()))) names.insert((*at)[1]);
      }
      for (const std::string& name : names)
        EXPECT_TRUE(layer.allowed.count(name)) << layer.folder << " links " << name;
      continue;
    }
    names.erase("LINK");
    EXPECT_EQ(names, layer.direct) << "src/" << layer.folder << "/CMakeLists.txt";
  }
}

}  // namespace
}  // namespace diptych
