// The guard before the SentencePiece library, on models built in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "testing/shared_data.h"
#include "text/sentencepiece_check.h"
#include "text/stream_decoder.h"
#include "text/tokenizer_files.h"

namespace diptych::text {
namespace {

using testing::charsmap;
using ::testing::HasSubstr;
using testing::piece;
using testing::sentencepiece_file;

constexpr uint64_t kUnigram = 1, kBpe = 2;

std::string refusal(const std::string& file) {
  auto tokenizer = read_tokenizer(as_bytes(file));
  return tokenizer ? "" : tokenizer.error().to_string();
}

std::string with_piece(std::string_view name, uint64_t type = 1, float score = 0) {
  return sentencepiece_file(kBpe, {}, piece(name, type, score));
}

// Charsmap with one 32-bit word of it (counted from the trie's size) replaced.
std::string damaged_map(size_t word, uint32_t value) {
  std::string map = charsmap();
  std::memcpy(&map[4 * word], &value, 4);
  return sentencepiece_file(kBpe, map);
}

TEST(SentencePiece, UsesTheModel) {
  for (const uint64_t type : {kUnigram, kBpe}) {
    const std::string file = sentencepiece_file(type, charsmap());
    auto tokenizer = read_tokenizer(as_bytes(file));
    ASSERT_OK(tokenizer);
    auto ids = (*tokenizer)->encode("aA \xC3\xA9", true);  // the normaliser makes "A" a "b"
    ASSERT_OK(ids);
    EXPECT_EQ(decode(**tokenizer, *ids), "ab \xC3\xA9");
    EXPECT_EQ((*ids)[0], 1);
    EXPECT_TRUE((*tokenizer)->drops_leading_space());
  }
}

TEST(SentencePiece, RefusesPiecesTheLibraryTripsOver) {
  EXPECT_EQ(refusal(with_piece("fine")), "");
  EXPECT_THAT(refusal(with_piece("")), HasSubstr("piece 268 is empty"));
  EXPECT_THAT(refusal(with_piece(std::string(200'000, 'x'))), HasSubstr("200000 bytes long"));
  EXPECT_THAT(refusal(with_piece("\xC3")), HasSubstr("piece 268 is not UTF-8"));
  EXPECT_THAT(refusal(with_piece("x", 7)), HasSubstr("type 7"));
  EXPECT_THAT(refusal(with_piece("<0xZZ>", 6)), HasSubstr("not named <0xNN>"));
  EXPECT_THAT(refusal(with_piece("<0x0a>", 6)), HasSubstr("not named <0xNN>"));
  EXPECT_THAT(refusal(with_piece("x", 2)), HasSubstr("2 unknown-word pieces"));
  EXPECT_THAT(refusal(with_piece("x", 1, std::numeric_limits<float>::quiet_NaN())),
              HasSubstr("score"));
  EXPECT_THAT(refusal(with_piece("ab")), HasSubstr("SentencePiece cannot load"));  // twice
  EXPECT_THAT(refusal(sentencepiece_file(4)), HasSubstr("model type 4"));
}

TEST(SentencePiece, RefusesNormalizerTablesThatPointOutside) {
  EXPECT_EQ(refusal(damaged_map(1, 256u << 10)), "");
  EXPECT_THAT(refusal(damaged_map(0, 1u << 30)), HasSubstr("precompiled_charsmap"));
  EXPECT_THAT(refusal(damaged_map(0, 2047)), HasSubstr("whole units"));
  EXPECT_THAT(refusal(damaged_map(0, 2050)), HasSubstr("whole units"));
  EXPECT_THAT(refusal(damaged_map(1, 512u << 10)), HasSubstr("unit 0 of 512"));
  EXPECT_THAT(refusal(damaged_map(1, 2u << 10 | 0x200)), HasSubstr("unit 0 of 512"));
  EXPECT_THAT(refusal(damaged_map(1, 1u << 31 | 256u << 10)), HasSubstr("unit 0 of 512"));
  EXPECT_THAT(refusal(damaged_map(1 + 2, 1u << 31 | 5)), HasSubstr("unit 321 of 512"));
}

TEST(SentencePiece, TellsTheNormalizersTraits) {
  auto traits = check_sentencepiece(as_bytes(sentencepiece_file(kBpe)));
  ASSERT_OK(traits);
  EXPECT_TRUE(traits->add_dummy_prefix);
  EXPECT_FALSE(traits->remove_extra_whitespaces);
}

}  // namespace
}  // namespace diptych::text
