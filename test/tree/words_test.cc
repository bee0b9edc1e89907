// Libraries do not know who asks them: no message of a folder below cli names an option of the
// command line or a command of chat. Errors carry hints (base/hint.h) for the front end to word.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "testing/shared_data.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// The string literals of a C++ source, without their quotes: neither comments nor characters.
std::vector<std::string> literals_of(const std::string& source) {
  static const std::regex kToken(
      R"re(//[^\n]*|/\*[\s\S]*?\*/|'(?:\\.|[^'\\\n])'|"((?:\\.|[^"\\\n])*)")re");
  std::vector<std::string> literals;
  // A raw literal ends where its own delimiter says, which no regular expression knows.
  std::string text;
  for (size_t at = 0; at < source.size();) {
    const size_t raw = source.find("R\"", at);
    text += source.substr(at, raw - at);
    if (raw == source.npos) break;
    const size_t open = source.find('(', raw);
    if (open == source.npos) break;
    const std::string end = ")" + source.substr(raw + 2, open - raw - 2) + "\"";
    const size_t close = std::min(source.find(end, open), source.size());
    literals.push_back(source.substr(open + 1, close - open - 1));
    at = std::min(close + end.size(), source.size());
  }
  for (std::sregex_iterator at(text.begin(), text.end(), kToken), none; at != none; ++at) {
    if ((*at)[1].matched) literals.push_back((*at)[1]);
  }
  return literals;
}

// "--option", "(-o)", and "/undo" and its like.
bool names_an_option(const std::string& literal) {
  static const std::regex kOption(R"((^|[^A-Za-z0-9-])--[A-Za-z]|(^|[ (])-[A-Za-z]($|[ ,;)])|)"
                                  R"((^|[ (])/(reset|undo|save|load|stats|help|quit)\b)");
  return std::regex_search(literal, kOption);
}

TEST(Words, OptionsAreSeen) {
  EXPECT_EQ(literals_of(R"x(f("a", '"', "b\"c"); // "d"
/* "e" */ g(R"(h"i)", "j"))x"),
            (std::vector<std::string>{R"(h"i)", "a", R"(b\"c)", "j"}));
  for (const char* text : {"--x", "use --max_context_len", "(--json)", "name one (-t)", "-t",
                           "/undo", "or /reset, or"})
    EXPECT_TRUE(names_an_option(text)) << text;
  for (const char* text :
       {"a -- b", "-inf", "a-b", "---", "->", "-1", "/proc/self", "and/or", "a/save", "x - y"})
    EXPECT_FALSE(names_an_option(text)) << text;
}

TEST(Words, NoLibraryNamesAnOption) {
  size_t checked = 0;
  for (const auto& entry : fs::recursive_directory_iterator(testing::source_path("src"))) {
    const fs::path& path = entry.path();
    const std::string extension = path.extension();
    if (extension != ".h" && extension != ".cc" && extension != ".inc") continue;
    const std::string name = path.lexically_relative(testing::source_path("src")).string();
    if (name.rfind("cli/", 0) == 0) continue;
    std::ifstream in(path);
    for (const std::string& literal : literals_of({std::istreambuf_iterator<char>(in), {}})) {
      ++checked;
      EXPECT_FALSE(names_an_option(literal))
          << "src/" << name << " names an option: \"" << literal << '"';
    }
  }
  EXPECT_GT(checked, 3000U);
}

}  // namespace
}  // namespace diptych
