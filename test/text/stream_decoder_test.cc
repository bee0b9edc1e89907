#include "text/stream_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "testing/shared_data.h"
#include "text/tokenizer_files.h"
#include "text/utf8.h"

namespace diptych::text {
namespace {

constexpr std::string_view kEuro = "\xE2\x82\xAC", kBad = kReplacementCharacter;

// Ids 0 … 255 are the bytes.
std::unique_ptr<Tokenizer> byte_tokenizer() {
  return read_tokenizer(as_bytes(testing::rank_file({"ab", "\xE2\x82", "\xAC!"}))).value();
}

std::vector<std::string> stream(std::string_view bytes) {
  const auto tokenizer = byte_tokenizer();
  StreamDecoder decoder(*tokenizer);
  std::vector<std::string> parts;
  for (const char c : bytes) parts.push_back(decoder.add(static_cast<uint8_t>(c)));
  parts.push_back(decoder.finish());
  return parts;
}

std::string joined(std::string_view bytes) {
  std::string text;
  for (const std::string& part : stream(bytes)) text += part;
  return text;
}

std::string times(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(StreamDecoder, HoldsBackIncompleteCharacters) {
  EXPECT_THAT(stream("\xE2\x82\xAC!"), ::testing::ElementsAre("", "", std::string(kEuro), "!", ""));
  EXPECT_THAT(stream("a\xF0\x9F\x98"), ::testing::ElementsAre("a", "", "", "", std::string(kBad)));
  const auto tokenizer = byte_tokenizer();
  StreamDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.add(257), "");
  EXPECT_EQ(decoder.add(258), std::string(kEuro) + "!");
}

// Expectations from the table "U+FFFD for maximal subparts" in section 3.9 of the Unicode standard.
TEST(StreamDecoder, ReplacesDamagedBytesAsUnicodeSays) {
  EXPECT_EQ(joined("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), times(kBad, 8) + "A");
  EXPECT_EQ(joined("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), times(kBad, 8) + "A");
  EXPECT_EQ(joined("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            times(kBad, 5) + "A" + times(kBad, 2) + "B");
  EXPECT_EQ(joined("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), times(kBad, 4) + "A");
}

TEST(StreamDecoder, IsValidUtf8WhateverComes) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (size_t size = random() % 12; size > 0; --size) {
      bytes += "a\x7F\x80\x8F\x90\xA0\xBF\xC2\xE0\xED\xEF\xF0\xF4\xFF"[random() % 14];
    }
    for (const std::string& part : stream(bytes)) {
      EXPECT_EQ(valid_utf8_prefix(part), part.size());
    }
    if (valid_utf8_prefix(bytes) == bytes.size()) {
      EXPECT_EQ(joined(bytes), bytes);
    }
  }
}

TEST(StreamDecoder, SpecialTokensHaveNoText) {
  const auto tokenizer = byte_tokenizer();
  StreamDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.add(tokenizer->bos()), "");
  EXPECT_EQ(decoder.add(0xE2), "");
  EXPECT_EQ(decoder.add(tokenizer->eos()), "");  // does not break a character
  EXPECT_EQ(decoder.add(-5), "");
  EXPECT_EQ(decoder.add(1 << 30), "");
  EXPECT_EQ(decoder.add(0x82), "");
  EXPECT_EQ(decoder.add(0xAC), kEuro);
}

TEST(StreamDecoder, DropsOnlyTheEncodersOwnSpace) {
  auto opened = read_tokenizer(as_bytes(testing::sentencepiece_file(2)));
  ASSERT_OK(opened);
  const Tokenizer& tokenizer = **opened;
  for (const char* text : {"ab", " ab", "  ab", "ab ab", "", " "}) {
    EXPECT_EQ(decode(tokenizer, tokenizer.encode(text, true).value()), text);
  }
  // After a prompt, a word that begins with a space keeps it.
  StreamDecoder decoder(tokenizer);
  const std::vector<TokenId> prompt = tokenizer.encode("ab", true).value();
  for (const TokenId id : prompt) decoder.add(id);
  EXPECT_EQ(decoder.add(tokenizer.encode("ab", false).value()[0]), " ab");
}

}  // namespace
}  // namespace diptych::text
