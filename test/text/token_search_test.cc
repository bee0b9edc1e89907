// The search for added tokens beside the definition, and its work.
#include "text/token_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "testing/shared_data.h"

namespace diptych::text {
namespace {

// The definition: the leftmost, of those the longest.
std::optional<TokenSearch::Found> expected(const std::vector<std::string>& strings,
                                           std::string_view text, size_t from) {
  for (size_t at = from; at < text.size(); ++at) {
    std::optional<TokenSearch::Found> best;
    for (uint32_t i = 0; i < strings.size(); ++i) {
      if (strings[i].empty() || !text.substr(at).starts_with(strings[i])) continue;
      if (!best || strings[i].size() > best->end - best->begin) {
        best = TokenSearch::Found{at, at + strings[i].size(), i};
      }
    }
    if (best) return best;
  }
  return std::nullopt;
}

std::string random_text(std::mt19937& random, size_t size) {
  std::string text(size, ' ');
  for (char& c : text) c = "abc"[random() % 3];
  return text;
}

TEST(TokenSearch, FindsTheLeftmostAndThenLongest) {
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> strings(random() % 6);
    for (std::string& string : strings) string = random_text(random, random() % 7);
    const TokenSearch search(std::vector<std::string_view>(strings.begin(), strings.end()));
    const std::string text = random_text(random, 30);
    for (size_t from = 0; from <= text.size(); ++from) {
      Work work(text.size());
      const auto found = search.find(text, from, work);
      ASSERT_OK(found);
      const auto wanted = expected(strings, text, from);
      ASSERT_EQ(found->has_value(), wanted.has_value()) << text.substr(from);
      if (!wanted) continue;
      EXPECT_EQ((*found)->begin, wanted->begin) << text.substr(from);
      EXPECT_EQ((*found)->end, wanted->end) << text.substr(from);
      EXPECT_EQ((*found)->index, wanted->index) << text.substr(from);
    }
  }
}

TEST(TokenSearch, IsLinearWhereNothingIsFound) {
  const std::string text(1 << 20, 'a');
  Work work(0);  // for less than the strings' length for every byte
  const std::string almost = std::string(100'000, 'a') + "b";
  const auto found = TokenSearch({almost}).find(text, 0, work);
  ASSERT_OK(found);
  EXPECT_FALSE(*found);
}

TEST(TokenSearch, CountsWhatIsLookedAtBehindWhatIsFound) {
  const std::string text(1 << 20, 'a'), almost = std::string(1000, 'a') + "b";
  const TokenSearch search({"a", almost});
  Work work(text.size());
  Status status;
  for (size_t at = 0; at < text.size() && status; ++at) {
    const auto found = search.find(text, at, work);
    if (!found) status = tl::unexpected(found.error());
  }
  EXPECT_FALSE(status);
}

}  // namespace
}  // namespace diptych::text
