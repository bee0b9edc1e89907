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
  Work work(text.size());
  const auto match = regex->find(text, 0, work).value();
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

// Everything that takes more than a constant number of steps for each byte, in one search or over
// all of them.
TEST(Regex, StopsHopelessSearches) {
  for (const char* pattern :
       {"(a+)+b", "a(?!.*.*[xy])", "a+[0-9]", "(?:a?){9}a*[bc]", "a*?a*?[bc]"}) {
    const auto regex = Regex::compile(pattern);
    ASSERT_OK(regex);
    const std::string text(1 << 20, 'a');
    Work work(text.size());
    Status status;
    for (size_t at = 0; at < text.size() && status;) {
      const auto found = regex->find(text, at, work);
      if (!found) status = tl::unexpected(found.error());
      at = found && *found ? (*found)->end : text.size();
    }
    ASSERT_FALSE(status) << pattern;
    EXPECT_THAT(status.error().to_string(), HasSubstr("steps")) << pattern;
  }
}

TEST(Regex, TakesFewStepsForEachByteOfATokenizersWords) {
  const auto words = Regex::compile(
      R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
  ASSERT_OK(words);
  for (const char* unit : {"a", " ", "\n", "\xCC\x81", "1", " \n", ". ", "Aa"}) {
    std::string text;
    while (text.size() < 1 << 20) text += unit;
    Work work(text.size());
    for (size_t at = 0; at < text.size();) {
      const auto found = words->find(text, at, work);
      ASSERT_OK(found);
      ASSERT_TRUE(*found);
      at = (*found)->end;
    }
    constexpr uint64_t kFew = 12;
    EXPECT_TRUE(work.spend(Work::kSteps + (Work::kStepsPerByte - kFew) * text.size())) << unit;
  }
}

std::vector<std::string> cut(std::string_view text, Behaviour behaviour, bool invert = false) {
  Pieces pieces = Pieces::whole(std::string(text), true);
  Work work(text.size());
  EXPECT_TRUE(pieces.split(Pattern::literal("-"), behaviour, invert, work));
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
