// Both kinds of tokenizer against ids from the reference packages, and what holds for any text.
#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <random>

#include "testing/shared_data.h"
#include "text/stream_decoder.h"
#include "text/tokenizer_files.h"

namespace diptych::text {
namespace {

using ::diptych::testing::shared_data;
using ::diptych::testing::source_path;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<TokenId>;

struct Reference {
  std::string_view text;
  Ids demo, llama2, llama3;
};

const std::vector<Reference>& references() {
  static const std::vector<Reference> kReferences = {
#include "text/reference_ids.inc"
  };
  return kReferences;
}

Ids encode(const Tokenizer& tokenizer, std::string_view text, bool bos = false,
           Specials specials = Specials::AsText) {
  auto ids = tokenizer.encode(text, bos, specials);
  EXPECT_TRUE(ids.has_value()) << ids.error().to_string();
  return ids ? *ids : Ids{-1};
}

struct File {
  const char* name;
  std::string path;  // "" when absent
  Ids Reference::*ids;
};

std::vector<File> files() {
  return {{"demo", source_path("demo/tokenizer.model"), &Reference::demo},
          {"llama2", shared_data("tokenizers/llama2/tokenizer.model"), &Reference::llama2},
          {"llama3", shared_data("tokenizers/llama3/tokenizer.model"), &Reference::llama3}};
}

class RealTokenizer : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    file_ = files()[static_cast<size_t>(GetParam())];
    if (file_.path.empty()) GTEST_SKIP() << "no shared/data/tokenizers/" << file_.name;
    auto tokenizer = open_tokenizer(file_.path);
    ASSERT_OK(tokenizer);
    tokenizer_ = std::move(*tokenizer);
  }
  File file_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

std::string random_bytes(std::mt19937& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

TEST_P(RealTokenizer, GivesTheReferenceIds) {
  for (const Reference& reference : references()) {
    EXPECT_EQ(encode(*tokenizer_, reference.text), reference.*file_.ids) << reference.text;
  }
}

TEST_P(RealTokenizer, DecodesToTheSameText) {
  for (const Reference& reference : references()) {
    // SentencePiece writes its own space symbol for a space.
    if (reference.text.find("\xE2\x96\x81") != std::string_view::npos &&
        tokenizer_->kind() == "sentencepiece") {
      continue;
    }
    EXPECT_EQ(decode(*tokenizer_, reference.*file_.ids), reference.text);
  }
}

TEST_P(RealTokenizer, PutsBosFirst) {
  const Ids plain = encode(*tokenizer_, "Once"), with_bos = encode(*tokenizer_, "Once", true);
  ASSERT_EQ(with_bos.size(), plain.size() + 1);
  EXPECT_EQ(with_bos[0], tokenizer_->bos());
  EXPECT_EQ(decode(*tokenizer_, with_bos), "Once");
}

TEST_P(RealTokenizer, TakesAnyBytes) {
  std::mt19937 random(7);
  for (size_t size = 0; size < 200; ++size) {
    const std::string bytes = random_bytes(random, size);
    const Ids ids = encode(*tokenizer_, bytes);
    for (const TokenId id : ids) {
      ASSERT_GE(id, 0);
      ASSERT_LT(id, tokenizer_->vocab_size());
    }
    if (tokenizer_->kind() != "tiktoken") continue;
    std::string decoded;
    for (const TokenId id : ids) decoded += tokenizer_->piece(id);
    EXPECT_EQ(decoded, bytes);
  }
}

TEST_P(RealTokenizer, EncodesAMegabyteQuickly) {
  std::mt19937 random(3);
  std::string letters(1 << 20, ' ');
  for (char& c : letters) c = static_cast<char>('a' + random() % 26);
  std::string sentences;
  while (sentences.size() < 1 << 20) sentences += "Once upon a time, there were 3 bears.\n";
  const std::string texts[] = {std::string(1 << 20, 'a'),
                               std::string(1 << 20, ' '),
                               std::string(1 << 20, '\n'),
                               letters,
                               sentences,
                               random_bytes(random, 1 << 20)};
  for (const std::string& text : texts) {
    const std::clock_t start = std::clock();
    const Ids ids = encode(*tokenizer_, text);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    EXPECT_FALSE(ids.empty());
    // A quadratic encoder needs hours; the allowance is for sanitizers.
    EXPECT_LT(seconds, 20) << text.substr(0, 20);
  }
}

std::string name_of(const ::testing::TestParamInfo<int>& parameter) {
  return files()[static_cast<size_t>(parameter.param)].name;
}
INSTANTIATE_TEST_SUITE_P(Files, RealTokenizer, ::testing::Range(0, 3), name_of);

TEST(Tokenizer, DemoIsALlama2LikeVocabulary) {
  auto tokenizer = open_tokenizer(source_path("demo/tokenizer.model"));
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->kind(), "sentencepiece");
  EXPECT_EQ((*tokenizer)->vocab_size(), 1024);
  EXPECT_EQ((*tokenizer)->bos(), 1);
  EXPECT_EQ((*tokenizer)->eos(), 2);
  EXPECT_THAT((*tokenizer)->stop_ids(), ElementsAre(2));
  EXPECT_EQ((*tokenizer)->piece(2), "");
  EXPECT_EQ((*tokenizer)->piece(3 + 0xE9), "\xE9");
  EXPECT_EQ((*tokenizer)->piece(-1), "");
  EXPECT_EQ((*tokenizer)->piece(1024), "");
}

TEST(Tokenizer, Llama3SpecialsAreTokensOnlyWhenAskedFor) {
  DIPTYCH_SKIP_WITHOUT_SHARED("tokenizers/llama3/tokenizer.model");
  auto opened = open_tokenizer(shared_data("tokenizers/llama3/tokenizer.model"));
  ASSERT_OK(opened);
  const Tokenizer& tokenizer = **opened;
  EXPECT_EQ(tokenizer.kind(), "tiktoken");
  EXPECT_EQ(tokenizer.vocab_size(), 128256);
  EXPECT_EQ(tokenizer.bos(), 128000);
  EXPECT_EQ(tokenizer.eos(), 128001);
  EXPECT_THAT(tokenizer.stop_ids(), ElementsAre(128001, 128008, 128009));
  EXPECT_EQ(tokenizer.piece(128009), "");

  const std::string_view turn = "<|begin_of_text|>hi<|eot_id|>";
  EXPECT_THAT(encode(tokenizer, turn, false, Specials::AsTokens),
              ElementsAre(128000, 6151, 128009));
  EXPECT_GT(encode(tokenizer, turn).size(), 3u);
  EXPECT_EQ(decode(tokenizer, encode(tokenizer, turn)), turn);
  // From upstream's tokenizer with allowed_special="all".
  EXPECT_THAT(encode(tokenizer,
                     "<|image|><|reserved_special_token_2|><|reserved_special_token_245|> a "
                     "<|reserved_special_token_246|><|reserved_special_token_02|><|<|eom_id|>",
                     false, Specials::AsTokens),
              ElementsAre(128011, 128012, 128255, 264, 83739, 52202, 42729, 6594, 62, 14205, 91,
                          1822, 91, 52202, 42729, 6594, 62, 2437, 91, 1822, 91, 128008));
}

std::string refusal(std::string_view file) {
  auto tokenizer = read_tokenizer(as_bytes(file));
  return tokenizer ? "" : tokenizer.error().to_string();
}

TEST(Tokenizer, RefusesOtherFilesByWhatTheyAre) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal("{\"version\": \"1.0\"}"), HasSubstr("tokenizer.json"));
  EXPECT_THAT(refusal("PK\x03\x04"), HasSubstr("first byte 0x50"));
  auto missing = open_tokenizer("/nonexistent/tokenizer.model");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::NotFound);
  EXPECT_THAT(missing.error().to_string(), HasSubstr("/nonexistent/tokenizer.model"));
  EXPECT_THAT(open_tokenizer(source_path("demo/params.json")).error().to_string(),
              HasSubstr("params.json"));
}

// Every length of a small model, and of the demo's: an error or a tokenizer, never a crash.
TEST(Tokenizer, SurvivesTruncation) {
  for (const std::string& file : {testing::sentencepiece_file(1, testing::charsmap()),
                                  testing::sentencepiece_file(2), testing::rank_file({"ab"})}) {
    ASSERT_EQ(refusal(file), "");
    for (size_t size = 0; size < file.size(); size += 1 + size / 64) {
      const std::string copy = file.substr(0, size);
      const auto tokenizer = read_tokenizer(as_bytes(copy));
      if (tokenizer) (*tokenizer)->encode("abc A\xC3\xA9", true).value();
    }
  }
}

// The ids of the package sentencepiece: a part of a character is as many U+FFFD as the library says.
TEST(SentencePiece, ReplacesBytesThatAreNoTextAsTheLibraryDoes) {
  const auto tokenizer = open_tokenizer(source_path("demo/tokenizer.model"));
  ASSERT_OK(tokenizer);
  EXPECT_THAT((*tokenizer)->encode("\xC0\x80<\xC3\xF0\x9F\x98", false).value(),
              ElementsAre(970, 242, 194, 192, 242, 194, 192, 63, 242, 194, 192, 242, 194, 192, 242,
                          194, 192, 242, 194, 192));
}

}  // namespace
}  // namespace diptych::text
