// Libraries do not know who asks them: no message of a folder below cli names an option of the
// command line or a command of chat. Errors carry hints (base/hint.h) for the front end to word.
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "testing/shared_data.h"

namespace diptych {
namespace {

namespace fs = std::filesystem;

// The string literals of a C++ source that compiles, without their quotes.
std::vector<std::string> literals_of(const std::string& source) {
  std::vector<std::string> literals;
  const auto behind = [&source](std::string_view end, size_t from) {
    const size_t at = source.find(end, from);
    return at == source.npos ? source.size() : at + end.size();
  };
  for (size_t at = 0; at < source.size();) {
    const std::string_view rest = std::string_view(source).substr(at);
    if (rest.starts_with("//")) {
      at = behind("\n", at);
    } else if (rest.starts_with("/*")) {
      at = behind("*/", at + 2);
    } else if (rest.starts_with("R\"")) {
      const size_t open = behind("(", at);
      std::string end(1, ')');
      end.append(source, at + 2, open - at - 3).push_back('"');
      at = behind(end, open);
      literals.push_back(source.substr(open, at - open - end.size()));
    } else if (rest[0] == '"' || (rest[0] == '\'' && !std::isalnum(source[at - 1]))) {
      size_t end = 1;  // a quote between digits is none
      while (end < rest.size() && rest[end] != rest[0]) end += rest[end] == '\\' ? 2 : 1;
      if (rest[0] == '"') literals.emplace_back(rest.substr(1, end - 1));
      at += end + 1;
    } else {
      ++at;
    }
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
  EXPECT_EQ(literals_of(R"x(f("a", '"', 1'000, "b\"c"); // "d"
/* "e" */ g(R"(h"i)", "j"))x"),
            (std::vector<std::string>{"a", R"(b\"c)", R"(h"i)", "j"}));
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
