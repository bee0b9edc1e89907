// Oniguruma's expressions in PCRE2's syntax, normal forms, and cutting a text at matches.
#include "text/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/shared_data.h"
#include "text/pieces.h"
#include "text/regex_syntax.h"
#include "text/unicode_forms.h"

namespace diptych::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The part of `text` that `pattern` matches first, or "none".
std::string first_match(std::string_view pattern, std::string_view text) {
  auto translated = pcre2_from_oniguruma(pattern);
  if (!translated) return translated.error().to_string();
  auto regex = Regex::compile(*translated);
  if (!regex) return regex.error().to_string();
  const auto match = regex->find(text, 0).value();
  return match ? std::string(text.substr(match->begin, match->end - match->begin)) : "none";
}

TEST(RegexSyntax, SpacesAndWordsAreUnicodes) {
  EXPECT_EQ(first_match(R"(\s+)",
                        "a\xE3\x80\x80\xC2\x85"
                        "b"),
            "\xE3\x80\x80\xC2\x85");
  EXPECT_EQ(first_match(R"(\s)", "\xE1\xA0\x8E"), "none");  // U+180E
  EXPECT_EQ(first_match(R"([^\s]+)", " \xE1\xA0\x8E "), "\xE1\xA0\x8E");
  EXPECT_EQ(first_match(R"(\S+)", " ab "), "ab");
  EXPECT_EQ(first_match(R"(\w+)", "-e\xCC\x81_1-"), "e\xCC\x81_1");
  EXPECT_EQ(first_match(R"(\d+)",
                        "a\xD9\xA1"
                        "2"),
            "\xD9\xA1"
            "2");
  EXPECT_EQ(first_match(R"((?i:'S))", "'s"), "'s");
  EXPECT_EQ(first_match(R"(\u0041\x42\x{43})", "ABC"), "ABC");
  EXPECT_EQ(first_match("a#b", "a#b"), "a#b");
}

TEST(RegexSyntax, RefusesWhatMeansSomethingElse) {
  EXPECT_THAT(first_match("a[b[c]]", ""), HasSubstr("\"[\" inside of brackets at byte 3"));
  EXPECT_THAT(first_match("[a&&b]", ""), HasSubstr("&&"));
  EXPECT_THAT(first_match(R"(\h)", ""), HasSubstr("\"\\h\""));
  EXPECT_THAT(first_match("(?m:a)", ""), HasSubstr("unknown kind"));
  EXPECT_THAT(first_match("a{,3}", ""), HasSubstr("{,"));
  EXPECT_THAT(first_match(R"([\S])", ""), HasSubstr("negated class"));
  EXPECT_THAT(first_match("a(", ""), HasSubstr("wrong at byte"));
  EXPECT_THAT(first_match("\\", ""), HasSubstr("lone"));
}

TEST(Regex, StopsHopelessSearches) {
  auto regex = Regex::compile("(a+)+b");
  ASSERT_OK(regex);
  const auto found = regex->find(std::string(60, 'a'), 0);
  if (!found) {
    EXPECT_THAT(found.error().to_string(), HasSubstr("cannot be run"));
  } else {
    EXPECT_FALSE(*found);  // a matcher that sees the missing "b"
  }
}

std::vector<std::string> cut(std::string_view text, Behaviour behaviour, bool invert = false) {
  Pieces pieces = Pieces::whole(std::string(text), true);
  EXPECT_TRUE(pieces.split(Pattern::literal("-"), behaviour, invert));
  std::vector<std::string> result;
  for (const Match& range : pieces.ranges) result.emplace_back(pieces.piece(range));
  return result;
}

TEST(Pieces, MatchesGoWhereTheBehaviourSays) {
  EXPECT_THAT(cut("-a--b", Behaviour::Removed), ElementsAre("a", "b"));
  EXPECT_THAT(cut("-a--b", Behaviour::Isolated), ElementsAre("-", "a", "-", "-", "b"));
  EXPECT_THAT(cut("-a--b", Behaviour::Contiguous), ElementsAre("-", "a", "--", "b"));
  EXPECT_THAT(cut("-a--b", Behaviour::MergedWithPrevious), ElementsAre("-", "a-", "-", "b"));
  EXPECT_THAT(cut("-a--b", Behaviour::MergedWithNext), ElementsAre("-a", "-", "-b"));
  EXPECT_THAT(cut("-a--b", Behaviour::Removed, true), ElementsAre("-", "-", "-"));
  EXPECT_THAT(cut("", Behaviour::Isolated), ElementsAre());
}

TEST(UnicodeForms, ComposesAndOrders) {
  EXPECT_EQ(normalize("e\xCC\x81", NormalForm::NFC), "\xC3\xA9");
  EXPECT_EQ(normalize("\xC3\xA9", NormalForm::NFD), "e\xCC\x81");
  EXPECT_EQ(normalize("a\xCC\x81\xCC\xA3", NormalForm::NFD), "a\xCC\xA3\xCC\x81");
  EXPECT_EQ(normalize("\xEF\xAC\x81", NormalForm::NFC), "\xEF\xAC\x81");  // fi
  EXPECT_EQ(normalize("\xEF\xAC\x81", NormalForm::NFKC), "fi");
  EXPECT_EQ(normalize("\xE1\x84\x80\xE1\x85\xA1", NormalForm::NFC), "\xEA\xB0\x80");  // Hangul
  EXPECT_EQ(normalize("plain", NormalForm::NFKD), "plain");
  EXPECT_EQ(lowercase("\xC4\xB0"
                      "A\xC3\x89"),
            "i\xCC\x87"
            "a\xC3\xA9");
}

}  // namespace
}  // namespace diptych::text
