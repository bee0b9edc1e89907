#include "text/stop_texts.h"

#include <gtest/gtest.h>

#include "testing/shared_data.h"
#include "text/utf8.h"

namespace diptych::text {
namespace {

// What comes out for the pieces, each followed by "|"; "!" at the end when it was stopped.
std::string through(const std::vector<std::string>& texts, const std::vector<std::string>& pieces) {
  auto stops = StopTexts::create(texts);
  if (!stops) return stops.error().to_string();
  std::string out;
  for (const std::string& piece : pieces) out += stops->add(piece) + "|";
  return out + stops->finish() + (stops->stopped() ? "!" : "");
}

TEST(StopTexts, GivesEverythingOutAtOnceWithoutStops) {
  EXPECT_EQ(through({}, {"a", "bc", ""}), "a|bc||");
}

TEST(StopTexts, StopsBeforeTheText) {
  EXPECT_EQ(through({"END"}, {"one END two", "three"}), "one ||!");
  EXPECT_EQ(through({"END"}, {"END"}), "|!");
}

TEST(StopTexts, StopsAcrossPieces) {
  EXPECT_EQ(through({"END"}, {"one E", "N", "D two"}), "one |||!");
}

TEST(StopTexts, HoldsBackUntilDecided) {
  EXPECT_EQ(through({"END"}, {"aE", "N", "x", "EN"}), "a||ENx||EN");
  EXPECT_EQ(through({"aab"}, {"a", "a", "a", "b"}), "||a||!");  // "aa" of "aaa" is still possible
}

TEST(StopTexts, TakesTheTextThatIsCompleteFirst) {
  EXPECT_EQ(through({"abcd", "bc"}, {"abcd"}), "a|!");
  EXPECT_EQ(through({"abcd", "bc"}, {"ab", "cd"}), "|a|!");
  EXPECT_EQ(through({"bc", "abc"}, {"xabc"}), "x|!");  // both at once: the longer
}

TEST(StopTexts, OutputDoesNotDependOnBorders) {
  const std::string text = "the cat sat on the mat, the ca\xC3\xA9 end";
  const std::vector<std::string> texts = {"ca\xC3\xA9", "the dog", "mat!"};
  for (size_t i = 0; i <= text.size(); ++i) {
    for (size_t j = i; j <= text.size(); ++j) {
      std::string out = through(texts, {text.substr(0, i), text.substr(i, j - i), text.substr(j)});
      std::erase(out, '|');
      EXPECT_EQ(out, "the cat sat on the mat, the !") << i << " " << j;
    }
  }
}

TEST(StopTexts, NeverCutsACharacter) {
  // The first two bytes of "€" and "₭" are equal: whole characters are held back or none.
  auto stops = StopTexts::create({"\xE2\x82\xAD"});
  ASSERT_OK(stops);
  EXPECT_EQ(stops->add("1\xE2\x82\xAC"), "1\xE2\x82\xAC");
}

TEST(StopTexts, RefusesWhatCannotOccur) {
  EXPECT_EQ(StopTexts::create({"a", ""}).error().message, "a stop text is empty");
  EXPECT_EQ(StopTexts::create({"ab\xFF"}).error().message,
            "a stop text is not UTF-8 from byte 2 on");
}

}  // namespace
}  // namespace diptych::text
