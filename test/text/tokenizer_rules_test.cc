// Added tokens and ends that the files beside a tokenizer give, merged as transformers merges them.
// (test/conformance/text_tokenizers.py compares with that package.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "testing/shared_data.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_json.h"

namespace diptych::text {
namespace {

using testing::added_token;
using testing::byte_level_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::sentencepiece_file;
using Ids = std::vector<TokenId>;

// Ids of "abc" as in hf_tokenizer_test: 256 is ab, 257 abc, 258 " ab"; <bos> 259, <eos> 260, <tool>
// 261.
std::string byte_level_text() { return dump_json(byte_level_json({"a b", "ab c", "Ġ ab"})); }

// 259 ab, 260 _a, 261 _ab, 262 abc, 263 b, 264 a, 265 c, 266 _, 267 é.
std::string pieces() { return sentencepiece_file(2); }

std::unique_ptr<Tokenizer> open(const std::string& file, const Json& config, const Json& map = {},
                                const Json& added = {}) {
  const std::filesystem::path directory =
      std::filesystem::path(diptych::testing::temporary_directory()) / "tokenizer_rules";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(directory / name, std::ios::binary) << text;
  };
  write(file[0] == '{' ? "tokenizer.json" : "tokenizer.model", file);
  if (!config.is_null()) write("tokenizer_config.json", dump_json(config));
  if (!map.is_null()) write("special_tokens_map.json", dump_json(map));
  if (!added.is_null()) write("added_tokens.json", dump_json(added));
  auto tokenizer = open_tokenizer(directory.string());
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().to_string();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

Ids encode_with_specials(const Tokenizer& tokenizer, std::string_view text,
                         Specials specials = Specials::AsTokens) {
  auto ids = tokenizer.encode(text, false, specials);
  EXPECT_TRUE(ids.has_value()) << ids.error().to_string();
  return ids ? *ids : Ids{-1};
}

Json decoder(std::initializer_list<Json> tokens, int id) {
  Json json = Json::object();
  for (const Json& token : tokens) json[std::to_string(id++)] = token;
  return {{"added_tokens_decoder", json}};
}
Json token(const char* content, bool special = true) {
  return {{"content", content}, {"special", special}, {"normalized", false}};
}

TEST(TokenizerRules, DecoderAddsTokensBehindATokenizerJson) {
  const auto tokenizer =
      open(byte_level_text(), decoder({token("<call>"), token("<x>", false)}, 262));
  EXPECT_EQ(tokenizer->vocab_size(), 264);
  EXPECT_THAT(encode_with_specials(*tokenizer, "<call>abc<x>"), ElementsAre(262, 257, 263));
  EXPECT_EQ(tokenizer->special_name(262), "<call>");
  EXPECT_EQ(tokenizer->piece(263), "<x>");
  EXPECT_EQ(encode_with_specials(*tokenizer, "<call>", Specials::AsText).size(), 6u);
  EXPECT_THAT(encode_with_specials(*tokenizer, "<x>", Specials::AsText), ElementsAre(263));
}

TEST(TokenizerRules, IdsFollowTheLastOneInTheOrderOfTheDecoder) {
  const Json config = {{"added_tokens_decoder", {{"900", token("<z>")}, {"300", token("<y>")}}}};
  const auto tokenizer = open(byte_level_text(), config);
  EXPECT_THAT(encode_with_specials(*tokenizer, "<y><z>"), ElementsAre(262, 263));
}

TEST(TokenizerRules, DecoderChangesFlagsAndAWordOfTheVocabularyKeepsItsId) {
  Json tool = token("<tool>");
  tool["rstrip"] = true;
  const auto tokenizer = open(byte_level_text(), decoder({tool, token("abc")}, 261));
  EXPECT_EQ(tokenizer->vocab_size(), 262);
  EXPECT_THAT(encode_with_specials(*tokenizer, "<tool> \n1"), ElementsAre(261, '1'));
  EXPECT_EQ(tokenizer->special_name(261), "<tool>");
  EXPECT_THAT(encode_with_specials(*tokenizer, "xabcab"), ElementsAre('x', 257, 256));
  EXPECT_EQ(tokenizer->piece(257), "");
}

TEST(TokenizerRules, ADecoderMakesTheOtherFilesVoid) {
  Json config = decoder({token("<call>")}, 262);
  config["bos_token"] = "<bos>";
  const auto tokenizer =
      open(byte_level_text(), config, {{"bos_token", "<eos>"}}, {{"<list>", 262}});
  EXPECT_EQ(tokenizer->bos(), 259);
  EXPECT_EQ(tokenizer->special("<list>"), kNoToken);
}

TEST(TokenizerRules, TheMapWinsOverTheConfiguration) {
  const auto tokenizer =
      open(byte_level_text(), {{"bos_token", "<bos>"}, {"eos_token", "<bos>"}},
           {{"bos_token", "<tool>"},
            {"eos_token", {{"content", "<eos>"}}},
            {"pad_token", "<pad>"},
            {"additional_special_tokens", Json::array({"<1>", {{"content", "<2>"}}})}});
  EXPECT_EQ(tokenizer->bos(), 261);
  EXPECT_EQ(tokenizer->eos(), 260);
  EXPECT_THAT(encode_with_specials(*tokenizer, "<pad><1><2>"), ElementsAre(262, 263, 264));
  EXPECT_EQ(tokenizer->special_name(264), "<2>");
}

TEST(TokenizerRules, TokensWithNamesBecomeSpecialOnes) {
  const auto tokenizer =
      open(byte_level_text(),
           {{"eos_token", "abc"}, {"image_token", "<image>"}, {"pad_token", nullptr}});
  EXPECT_EQ(tokenizer->eos(), 257);
  EXPECT_EQ(tokenizer->special_name(257), "abc");
  EXPECT_THAT(encode_with_specials(*tokenizer, "<image>"), ElementsAre(262));
}

TEST(TokenizerRules, AddedTokensBesideASentencePieceModel) {
  for (const bool by_decoder : {true, false}) {
    const auto tokenizer =
        by_decoder ? open(pieces(), decoder({token("<e>"), token("<s2>")}, 268))
                   : open(pieces(), {{"additional_special_tokens", Json::array({"<e>", "<s2>"})}},
                          {}, {{"<e>", 268}, {"<s2>", 269}});
    EXPECT_EQ(tokenizer->vocab_size(), 270);
    EXPECT_THAT(encode_with_specials(*tokenizer, "<s2>ab<e>"), ElementsAre(269, 259, 268));
    EXPECT_THAT(encode_with_specials(*tokenizer, "ab<e> ab"), ElementsAre(261, 268, 261));
    EXPECT_EQ(decode(*tokenizer, Ids{261, 268, 261}), "ab ab");
    EXPECT_EQ(encode_with_specials(*tokenizer, "<e>", Specials::AsText).size(), 4u);
  }
}

TEST(TokenizerRules, LegacyPutsASpaceBehindEveryAddedToken) {
  Json config = decoder({token("<e>")}, 268);
  config["legacy"] = true;
  const auto tokenizer = open(pieces(), config);
  EXPECT_THAT(encode_with_specials(*tokenizer, "<e>ab<e> ab"), ElementsAre(268, 261, 268, 261));
  config["legacy"] = false;
  EXPECT_THAT(encode_with_specials(*open(pieces(), config), "ab<e>ab"), ElementsAre(261, 268, 259));
  config["add_prefix_space"] = false;
  EXPECT_THAT(encode_with_specials(*open(pieces(), config), "ab<e>ab"), ElementsAre(259, 268, 259));
}

TEST(TokenizerRules, WithoutAWordFromTheFilesStretchesAreThoseOfTheLibrary) {
  const auto tokenizer = open(pieces(), {{"bos_token", "<s>"}});
  EXPECT_THAT(encode_with_specials(*tokenizer, "<s>ab"), ElementsAre(1, 261));
  EXPECT_TRUE(tokenizer->rules().added.empty());
  EXPECT_THAT(encode_with_specials(*tokenizer, " ab"), ElementsAre(266, 261));
}

TEST(TokenizerRules, WhatIsToldOfThemIsWhatMadeADifference) {
  Json config = decoder({added_token(0, "<bos>"), token("<call>")}, 262);
  config["bos_token"] = "<bos>";
  const auto tokenizer = open(byte_level_text(), config);
  const Json told = tokenizer->rules().to_json();
  EXPECT_EQ(told["bos_token"], "<bos>");
  ASSERT_EQ(told["added_tokens_decoder"].size(), 1u);
  EXPECT_EQ(told["added_tokens_decoder"]["262"]["content"], "<call>");
  const auto rules = TokenizerRules::read(told);
  ASSERT_OK(rules);
  EXPECT_EQ(rules->to_json(), told);  // before they are applied, too
  const std::string file = byte_level_text();
  const auto again = read_tokenizer(as_bytes(file), *rules);
  ASSERT_OK(again);
  EXPECT_EQ((*again)->rules().to_json(), told);
  EXPECT_THAT(encode_with_specials(**again, "<call>abc"), ElementsAre(262, 257));
}

TEST(TokenizerRules, RefusesWhatIsNoToken) {
  const auto refusal = [](const Json& config) {
    const auto rules = TokenizerRules::read(config);
    return rules ? std::string() : rules.error().to_string();
  };
  EXPECT_THAT(refusal({{"added_tokens_decoder", {{"x", token("a")}}}}), HasSubstr("token ids"));
  EXPECT_THAT(refusal({{"added_tokens_decoder", {{"1", "a"}}}}), HasSubstr("added_tokens_decoder"));
  EXPECT_THAT(refusal({{"extra_special_tokens", 3}}), HasSubstr("extra_special_tokens"));
  EXPECT_THAT(refusal({{"bos_token", 3}}), HasSubstr("bos_token"));
}

TEST(TokenizerRules, TokensBeyondTheModelAreRefusedByName) {
  const auto tokenizer = open(byte_level_text(), decoder({token("<call>")}, 262));
  tokenizer->limit_ids(262);
  EXPECT_THAT(encode_with_specials(*tokenizer, "abc"), ElementsAre(257));
  const auto ids = tokenizer->encode("a<call>", false, Specials::AsTokens);
  ASSERT_FALSE(ids);
  EXPECT_THAT(ids.error().to_string(), HasSubstr("\"<call>\", id 262"));
}

}  // namespace
}  // namespace diptych::text
