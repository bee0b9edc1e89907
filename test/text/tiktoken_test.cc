// Rank files built in memory: what is refused, and merging by rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "testing/shared_data.h"
#include "text/byte_pair_encoder.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_files.h"

namespace diptych::text {
namespace {

using testing::base64;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::rank_file;
using Ids = std::vector<TokenId>;

std::string rank_file_refusal(const std::string& file) {
  auto tokenizer = read_tokenizer(as_bytes(file));
  return tokenizer ? "" : tokenizer.error().to_string();
}

TEST(Tiktoken, NumbersSpecialsAfterTheRanks) {
  auto tokenizer = read_tokenizer(as_bytes(rank_file({"ab", "abc"})));
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->vocab_size(), 258 + 256);
  EXPECT_EQ((*tokenizer)->bos(), 258);
  EXPECT_THAT((*tokenizer)->encode("abcab", true).value(), ElementsAre(258, 257, 256));
  EXPECT_EQ((*tokenizer)->piece(257), "abc");
}

TEST(Tiktoken, AcceptsCrLfAndMissingLastNewline) {
  std::string file = base64("ab") + " 256\r\n" + rank_file({});
  file.pop_back();
  EXPECT_EQ(rank_file_refusal(file), "");
}

TEST(Tiktoken, RefusesDamagedLines) {
  const std::string file = rank_file({});
  EXPECT_THAT(rank_file_refusal(file + "YWI=\n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + "YWI= x\n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + "YWI= 256 \n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + "YWI= -1\n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + "YWI= 99999999999999999999\n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + "YW= 256\n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + "Y*I= 256\n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + "=WI= 256\n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + " 256\n"), HasSubstr("line 257"));
  EXPECT_THAT(rank_file_refusal(file + "YWI= 257\n"), HasSubstr("rank 257 among 257"));
  EXPECT_THAT(rank_file_refusal(file + "YWI= 255\n"), HasSubstr("rank 255 occurs twice"));
  EXPECT_THAT(rank_file_refusal(file + base64("a") + " 256\n"), HasSubstr("ids 97 and 256"));
  EXPECT_THAT(rank_file_refusal(base64("a") + " 0\n"), HasSubstr("no token for byte 0x00"));
}

// The definition, literally: look for the best pair again after each merge.
Ids merge_naively(const BytePairEncoder& encoder, std::string_view word) {
  std::vector<std::string> parts;
  for (const char c : word) parts.emplace_back(1, c);
  while (true) {
    size_t best = parts.size();
    TokenId best_rank = kNoToken;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const TokenId rank = encoder.find(parts[i] + parts[i + 1]);
      if (rank != kNoToken && (best_rank == kNoToken || rank < best_rank)) {
        best = i;
        best_rank = rank;
      }
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<long>(best) + 1);
  }
  Ids ids;
  for (const std::string& part : parts) ids.push_back(encoder.find(part));
  return ids;
}

TEST(BytePairEncoder, MergesAsTheDefinitionSays) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    // Some vocabulary over three letters; many of its tokens cannot be reached by merging.
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
    for (int i = 0; i < 40; ++i) {
      std::string token;
      for (size_t size = 2 + random() % 5; size > 0; --size) token += "abc"[random() % 3];
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
    }
    auto encoder = BytePairEncoder::build({tokens.begin(), tokens.end()});
    ASSERT_OK(encoder);
    std::string word;
    for (size_t size = random() % 60; size > 0; --size) word += "abc"[random() % 3];
    Ids ids, expected;
    if (!word.empty()) encoder->encode(word, ids);
    if (encoder->find(word) != kNoToken) {
      expected = {encoder->find(word)};  // tiktoken takes a whole word before it merges
    } else {
      expected = merge_naively(*encoder, word);
    }
    EXPECT_EQ(ids, expected) << word;
  }
}

TEST(PreTokenizer, CutsLikeLlama3) {
  auto pre_tokenizer = PreTokenizer::create();
  ASSERT_OK(pre_tokenizer);
  const auto split = [&](std::string_view text) {
    std::vector<std::string_view> words;
    Work work(text.size());
    EXPECT_TRUE(pre_tokenizer->split(text, work, words).has_value());
    return words;
  };
  EXPECT_THAT(split("We're 12345 here!!\n\n"),
              ElementsAre("We", "'re", " ", "123", "45", " here", "!!\n\n"));
  EXPECT_THAT(split("a   b \n c  "), ElementsAre("a", "  ", " b", " \n", " c", "  "));
  EXPECT_THAT(split("\xE2\x80\x83x\xE1\xA0\x8E"), ElementsAre("\xE2\x80\x83x", "\xE1\xA0\x8E"));
  EXPECT_THAT(split("don'T"), ElementsAre("don", "'T"));
  EXPECT_THAT(split(""), ElementsAre());
}

}  // namespace
}  // namespace diptych::text
