// Time and memory are linear in the text up to a limit, or an error comes soon: every kind of
// tokenizer on texts and in files that invite more.
#include "text/work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "base/json.h"
#include "testing/shared_data.h"
#include "text/tokenizer.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_json.h"

namespace diptych::text {
namespace {

using testing::added_token;
using testing::byte_level_json;
using testing::fallback_json;
using ::testing::HasSubstr;

constexpr size_t kSize = 1 << 18;
// Of a processor; what is not linear needs minutes. Sanitizers and busy machines are slower.
constexpr double kSeconds = 20;

std::unique_ptr<Tokenizer> open(const std::string& file, const TokenizerRules& rules = {}) {
  auto tokenizer = read_tokenizer(as_bytes(file), rules);
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().to_string();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

std::string repeated(std::string_view unit) {
  std::string text;
  while (text.size() < kSize) text += unit;
  return text;
}

// The error, if it ends in one.
std::string encode_soon(const Tokenizer& tokenizer, const std::string& text) {
  const std::clock_t start = std::clock();
  const auto ids = tokenizer.encode(text, true, Specials::AsTokens);
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, kSeconds)
      << text.substr(0, 20);
  return ids ? std::string() : ids.error().to_string();
}

Json byte_level_of_repeats() { return byte_level_json({"a b", "ab c", "Ġ ab", "a a", "aa aa"}); }

std::vector<std::pair<const char*, std::string>> work_files() {
  return {
      {"unigram", testing::sentencepiece_file(1)},
      {"bpe", testing::sentencepiece_file(2)},
      {"ranks", testing::rank_file({"aa", "aaaa", "  "})},
      {"byte level", dump_json(byte_level_of_repeats())},
      {"fallback", dump_json(fallback_json({"▁", "a", "aa", "▁a"}, Json::array({"a a", "▁ a"})))}};
}

TEST(Work, EveryKindOfTokenizerIsLinearOnTextsOfOneThing) {
  const std::vector<std::string> units = {
      "a",  " ",   "\n",    "\xCC\x81",   "a\xCC\x81\xCC\xA3",          "\xE4\xB8\xAD",
      " a", "<s>", "<bos>", "<|eot_id|>", "<|reserved_special_token_1", "\xFF",
      "1"};
  for (const auto& [name, file] : work_files()) {
    const auto tokenizer = open(file);
    ASSERT_TRUE(tokenizer);
    for (const std::string& unit : units) {
      EXPECT_EQ(encode_soon(*tokenizer, repeated(unit)), "") << name << " on " << unit;
    }
  }
}

TEST(Work, ManyAddedTokensAndLongOnesAreLinear) {
  TokenizerRules rules;
  const auto add = [&](std::string content, bool strip = false) {
    AddedToken token;
    token.content = std::move(content);
    token.lstrip = token.rstrip = strip;
    rules.added.push_back({std::move(token), true, false, true});
  };
  for (int i = 0; i < 100'000; ++i) add("<tool_" + std::to_string(i) + ">");
  add(std::string(5000, 'a') + "b");
  add(" ", true);
  for (const auto& [name, file] : work_files()) {
    const auto tokenizer = open(file, rules);
    ASSERT_TRUE(tokenizer);
    for (const char* unit : {"a", " ", "<tool_99999>", "<tool_9", "aaaa "}) {
      EXPECT_EQ(encode_soon(*tokenizer, repeated(unit)), "") << name << " on " << unit;
    }
  }
  // One that begins another is looked at together with what may follow.
  add("a");
  const auto tokenizer = open(dump_json(byte_level_of_repeats()), rules);
  EXPECT_THAT(encode_soon(*tokenizer, repeated("a")), HasSubstr("steps for each of its bytes"));
}

TEST(Work, ExpressionsHaveABudgetForTheWholeText) {
  Json json = byte_level_of_repeats();
  json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "a(?!.*.*[xy])";
  const auto tokenizer = open(dump_json(json));
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(encode_soon(*tokenizer, std::string(5000, 'a')), HasSubstr("steps"));
  EXPECT_THAT(encode_soon(*tokenizer, repeated("a")), HasSubstr("steps"));
  EXPECT_EQ(encode_soon(*tokenizer, std::string(20, 'a')), "");
}

Json replacement(const char* from, const std::string& to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

TEST(Work, ReplacementsThatMultiplyATextEndEarly) {
  Json json = byte_level_of_repeats();
  Json steps = Json::array();
  for (int i = 0; i < 40; ++i) steps.push_back(replacement("l", "ll"));
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  const auto doubling = open(dump_json(json));
  ASSERT_TRUE(doubling);
  EXPECT_THAT(encode_soon(*doubling, "hello"), HasSubstr("bytes of a text"));
  json["normalizer"] = replacement("l", std::string(1 << 20, 'x'));
  const auto long_one = open(dump_json(json));
  ASSERT_TRUE(long_one);
  EXPECT_THAT(encode_soon(*long_one, "hello"), HasSubstr("bytes of a text"));
  // Many that change nothing.
  steps = Json::array();
  for (int i = 0; i < 10'000; ++i) steps.push_back(replacement("Z", "z"));
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  const auto many = open(dump_json(json));
  ASSERT_TRUE(many);
  EXPECT_EQ(encode_soon(*many, "hello"), "");
  EXPECT_THAT(encode_soon(*many, repeated("hello ")), HasSubstr("steps"));
}

TEST(Work, DecodersThatMultiplyATokenAreRefused) {
  Json json = byte_level_of_repeats();
  Json steps = Json::array();
  for (int i = 0; i < 40; ++i) steps.push_back(replacement("a", "aa"));
  json["decoder"] = {{"type", "Sequence"}, {"decoders", steps}};
  const std::string file = dump_json(json);
  const auto tokenizer = read_tokenizer(as_bytes(file));
  ASSERT_FALSE(tokenizer);
  EXPECT_THAT(tokenizer.error().to_string(), HasSubstr("bytes of a text"));
}

TEST(Work, MetaspaceReplacesByOneCharacter) {
  Json json = byte_level_of_repeats();
  json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "long"}, {"split", false}};
  const std::string file = dump_json(json);
  const auto tokenizer = read_tokenizer(as_bytes(file));
  ASSERT_FALSE(tokenizer);
  EXPECT_THAT(tokenizer.error().to_string(), HasSubstr("expected a character"));
}

TEST(Work, TextsThatCannotFitAreKnownBeforeTheyAreEncoded) {
  for (const auto& [name, file] : work_files()) {
    const auto tokenizer = open(file);
    ASSERT_TRUE(tokenizer);
    EXPECT_TRUE(tokenizer->check_may_fit(Tokenizer::kAlwaysTried, 1)) << name;
    EXPECT_TRUE(tokenizer->check_may_fit(kSize, kSize)) << name;
    const Status status = tokenizer->check_may_fit(64 * kSize, 4096);
    ASSERT_FALSE(status) << name;
    EXPECT_THAT(status.error().to_string(), HasSubstr("does not fit 4096 tokens"));
  }
}

TEST(Work, TextsHaveALongestLength) {
  const auto tokenizer = open(dump_json(byte_level_of_repeats()));
  ASSERT_TRUE(tokenizer);
  EXPECT_FALSE(tokenizer->encode(std::string(kMaxTextBytes + 1, 'a'), false));
  const auto pieces = open(testing::sentencepiece_file(2));
  ASSERT_TRUE(pieces);
  const auto ids = pieces->encode(std::string(5 << 20, 'a'), false);
  ASSERT_FALSE(ids);
  EXPECT_THAT(ids.error().to_string(), HasSubstr("at most"));
}

}  // namespace
}  // namespace diptych::text
