#include "grammar/gbnf.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "grammar/matching.h"
#include "testing/shared_data.h"

namespace diptych::grammar {
namespace {

struct Case {
  const char* source;
  std::vector<std::string> of_it, not_of_it;
};

TEST(Gbnf, Matches) {
  const Case cases[] = {
      {"root ::= \"a\" \"b\"", {"ab"}, {"", "a", "abb", "ba"}},
      {"root ::= \"a\" | \"b\"\n  | \"cd\"", {"a", "b", "cd"}, {"", "ab", "c"}},
      {"root ::= [a-c]+ [^x\\n]? # comment\n", {"a", "abcz", "ccc"}, {"", "x", "ax", "a\n"}},
      {"root ::= (\"a\" | \"b\" \"c\"){2,3}", {"aa", "abc", "bcbcbc"}, {"a", "aaaa", "ab"}},
      {"root ::= \"a\"{2} \"b\"{1,}", {"aab", "aabbb"}, {"ab", "aaab", "aa"}},
      {"root ::= \"a\"*", {"", "a", "aaaa"}, {"b"}},
      {"root ::= item (\",\" item)*\nitem ::= [0-9]+", {"1", "1,22,3"}, {"", ",", "1,"}},
      {"root ::= \"(\" root \")\" | \"x\"", {"x", "((x))"}, {"((x)", "()"}},
      {"root ::= list\nlist ::= \"a\" list | \"\"", {"", "a", "aaaaaaa"}, {"b"}},
      {"root ::= \"\\x41\\u00e9\\\"\\\\\\n\"", {"A\xC3\xA9\"\\\n"}, {"A"}},
      {"root ::= [\\u00e0-\\u00ff] .", {"\xC3\xA9\xE2\x82\xAC", "\xC3\xBFz"}, {"\xC3\xA9", "ez"}},
      {"root ::= [^a]",
       {"\xF0\x9F\x98\x80", "\xE2\x82\xAC", "b"},
       {"a", "\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xC0\x80"}},
      {"root ::= (\n  \"a\"\n  \"b\"\n)\n", {"ab"}, {"a"}},
      {"root ::= ((\"a\"?)*)*", {"", "aaa"}, {"b"}},
  };
  for (const Case& row : cases) {
    const auto automaton = parse_gbnf(row.source);
    ASSERT_TRUE(automaton) << row.source << ": " << automaton.error().to_string();
    for (const std::string& text : row.of_it)
      EXPECT_TRUE(matches(*automaton, text)) << row.source << ": " << text;
    for (const std::string& text : row.not_of_it)
      EXPECT_FALSE(matches(*automaton, text)) << row.source << ": " << text;
  }
}

// Chains of rules that may match nothing, each of which begins with the next one.
TEST(Gbnf, ManyRulesAreCompiledInNoTime) {
  constexpr int kRules = 12'000;
  std::string source = "root ::= r0 \"x\"\n";
  for (int i = 0; i < kRules; ++i) source += fmt::format("r{} ::= r{} | \"\"\n", i, i + 1);
  source += fmt::format("r{} ::= \"a\"?\n", kRules);
  const auto start = Clock::now();
  const auto automaton = parse_gbnf(source);
  ASSERT_OK(automaton);
  EXPECT_LT(seconds_since(start), 20);  // quadratic: minutes
  const auto turned = source + fmt::format("r{} ::= r7\n", kRules);
  const auto again = parse_gbnf(turned);
  ASSERT_FALSE(again);
}

// Left recursion behind calls that may match nothing, found whichever rule comes first.
TEST(Gbnf, FindsLeftRecursionBehindEmptyRules) {
  for (const char* source :
       {"root ::= empty middle \"x\"\nmiddle ::= empty empty root\nempty ::= \"e\"?",
        "empty ::= other?\nother ::= \"o\"*\nroot ::= other empty root \"x\"",
        "a ::= b c a\nc ::= b b\nb ::= \"\"\nroot ::= a"}) {
    const auto found = parse_gbnf(source);
    ASSERT_FALSE(found) << source;
    EXPECT_THAT(found.error().message, ::testing::HasSubstr("left recursion"));
  }
  EXPECT_TRUE(parse_gbnf("root ::= empty full root | \"x\"\nempty ::= \"\"\nfull ::= empty \"y\""));
}

// Every character's UTF-8, and nothing else, is matched by the ranges that are cut from it.
TEST(Gbnf, RangesOfCharactersAreExact) {
  const auto automaton = parse_gbnf("root ::= [\\u00e9-\\U0001F600]").value();
  for (uint32_t c = 0x80; c < 0x20000; c += c < 0x3000 ? 1 : 7) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    const auto add = [&text](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
    const int following = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
    add(kLead[following] | c >> (6 * following));
    for (int i = following - 1; i >= 0; --i) add(0x80 | (c >> (6 * i) & 0x3F));
    ASSERT_EQ(matches(automaton, text), c >= 0xE9 && c <= 0x1F600) << std::hex << c;
  }
}

TEST(Gbnf, ErrorsNameTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "there is no rule root"},
      {"root ::= x", "line 1: there is no rule x"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2: rule root is there twice"},
      {"root ::= \"a", "line 1: expected a closing quote or bracket"},
      {"root ::= (\"a\"", "line 1: expected \")\", found the end"},
      {"root = \"a\"", "line 1: expected ::=, found \"= \\\"a\\\"\""},
      {"root ::= root \"a\" | \"b\"", "rule root begins with itself (left recursion)"},
      {"root ::= a\na ::= \"\"? b\nb ::= a \"x\"", "begins with itself (left recursion)"},
      {"root ::= [z-a]", "line 1: a range of characters runs backwards"},
      {"root ::= \"a\"{5,2}", "line 1: expected {m}, {m,} or {m,n}"},
      {"root ::= \"\\q\"", "after a backslash"},
      {"root ::= ((((\"a\"{9999}){9999}){9999}){9999})", "the grammar is too large"},
  };
  for (const auto& [source, message] : cases) {
    const auto automaton = parse_gbnf(source);
    ASSERT_FALSE(automaton) << source;
    EXPECT_THAT(automaton.error().to_string(), ::testing::HasSubstr(message)) << source;
  }
  EXPECT_FALSE(parse_gbnf("root ::= " + std::string(5000, '(')));
}

}  // namespace
}  // namespace diptych::grammar
