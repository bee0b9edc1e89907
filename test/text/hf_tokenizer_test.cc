// tokenizer.json files built in memory: what each component does, and what is refused. That ids
// equal the package's is shown by test/conformance/text_tokenizers.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <unordered_map>

#include "base/json.h"
#include "testing/shared_data.h"
#include "text/gguf_tokenizer.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace diptych::text {
namespace {

using testing::added_token;
using testing::byte_level_json;
using ::testing::ElementsAre;
using testing::fallback_json;
using ::testing::HasSubstr;
using Ids = std::vector<TokenId>;

std::unique_ptr<Tokenizer> read(const Json& json, const TokenizerRules& rules = {}) {
  const std::string text = dump_json(json);
  auto tokenizer = read_tokenizer(as_bytes(text), rules);
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().to_string();
  return tokenizer ? std::move(*tokenizer) : nullptr;
}

std::string refusal(const Json& json) {
  const std::string text = dump_json(json);
  auto tokenizer = read_tokenizer(as_bytes(text));
  return tokenizer ? "" : tokenizer.error().to_string();
}

Ids encode(const Tokenizer& tokenizer, std::string_view text, bool bos = false,
           Specials specials = Specials::AsText) {
  auto ids = tokenizer.encode(text, bos, specials);
  EXPECT_TRUE(ids.has_value()) << ids.error().to_string();
  return ids ? *ids : Ids{-1};
}

// Tokens 256 … are ab, abc, Ġab ("Ġ" is a space).
Json byte_level() { return byte_level_json({"a b", "ab c", "Ġ ab"}); }

TEST(HfTokenizer, MergesWithinWordsOfByteLevelText) {
  const auto tokenizer = read(byte_level());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->kind(), "tokenizer.json");
  EXPECT_EQ(tokenizer->vocab_size(), 262);
  EXPECT_THAT(encode(*tokenizer, "abc ab abc"), ElementsAre(257, 258, ' ', 257));
  EXPECT_THAT(encode(*tokenizer, "ab1ab\n"), ElementsAre(256, '1', 256, '\n'));
  EXPECT_THAT(encode(*tokenizer, "\xC3\xA9"), ElementsAre(0xC3, 0xA9));
  EXPECT_THAT(encode(*tokenizer, "e\xCC\x81"), ElementsAre(0xC3, 0xA9));  // NFC
  EXPECT_THAT(encode(*tokenizer, "\xFF"), ElementsAre(0xEF, 0xBF, 0xBD));
  EXPECT_THAT(encode(*tokenizer, ""), ElementsAre());
  EXPECT_EQ(tokenizer->piece(258), " ab");
  EXPECT_EQ(tokenizer->piece(0xE9), "\xE9");
}

TEST(HfTokenizer, PutsTheTemplatesTokensFirst) {
  const auto tokenizer = read(byte_level());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->bos(), 259);
  EXPECT_THAT(tokenizer->prefix(), ElementsAre(259));
  EXPECT_THAT(encode(*tokenizer, "a", true), ElementsAre(259, 'a'));
  EXPECT_EQ(tokenizer->piece(259), "");
  EXPECT_EQ(tokenizer->special("<eos>"), 260);
  EXPECT_EQ(tokenizer->special_name(260), "<eos>");
  EXPECT_EQ(tokenizer->special_name('a'), "");
}

TEST(HfTokenizer, KeepsTheTokensBehindTheTextApart) {
  Json json = byte_level();
  json["post_processor"]["single"].push_back({{"SpecialToken", {{"id", "<bos>"}, {"type_id", 0}}}});
  const auto tokenizer = read(json);
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(tokenizer->suffix(), ElementsAre(259));
  EXPECT_THAT(encode(*tokenizer, "a", true), ElementsAre(259, 'a'));
  EXPECT_THAT(read(byte_level())->suffix(), ElementsAre());
}

TEST(HfTokenizer, FindsAddedTokens) {
  const auto tokenizer = read(byte_level());
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(encode(*tokenizer, "a<tool>b<eos>", false, Specials::AsTokens),
              ElementsAre('a', 261, 'b', 260));
  // Special ones only when asked for.
  EXPECT_THAT(encode(*tokenizer, "a<tool><eos>"), ElementsAre('a', 261, '<', 'e', 'o', 's', '>'));
  EXPECT_EQ(decode(*tokenizer, Ids{'a', 261, 260}), "a<tool>");
}

Ids with_flag(const char* flag, std::string_view text) {
  Json json = byte_level();
  json["added_tokens"][2][flag] = true;
  const auto tokenizer = read(json);
  return tokenizer ? encode(*tokenizer, text) : Ids{-1};
}

TEST(HfTokenizer, ObeysTheFlagsOfAddedTokens) {
  EXPECT_THAT(with_flag("lstrip", "a \n<tool> b"), ElementsAre('a', 261, ' ', 'b'));
  EXPECT_THAT(with_flag("rstrip", "a <tool> \t b"), ElementsAre('a', ' ', 261, 'b'));
  EXPECT_THAT(with_flag("single_word", "<tool> x"), ElementsAre(261, ' ', 'x'));
  EXPECT_THAT(with_flag("single_word", "<tool>x"), ElementsAre('<', 't', 'o', 'o', 'l', '>', 'x'));
}

TEST(HfTokenizer, ByteFallbackIsLikeSentencePiece) {
  const Json merges = Json::array({Json::array({"▁", "a"}), Json::array({"▁a", "b"})});
  const auto tokenizer = read(fallback_json({"▁", "a", "b", "▁a", "▁ab"}, merges));
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(encode(*tokenizer, "ab b", true), ElementsAre(1, 263, 259, 261));
  EXPECT_THAT(encode(*tokenizer, "\xC3\xA9"), ElementsAre(259, 3 + 0xC3, 3 + 0xA9));
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_THAT(tokenizer->stop_ids(), ElementsAre(2));
  EXPECT_TRUE(tokenizer->drops_leading_space());
  EXPECT_EQ(decode(*tokenizer, encode(*tokenizer, "ab \xC3\xA9", true)), "ab \xC3\xA9");
  // Every stretch between tokens is a text of its own.
  EXPECT_THAT(encode(*tokenizer, "<s>ab</s>ab", false, Specials::AsTokens),
              ElementsAre(1, 263, 2, 263));
}

TEST(HfTokenizer, UnknownCharactersFuse) {
  Json json = fallback_json({"▁", "a"}, Json::array());
  json["model"]["byte_fallback"] = false;
  EXPECT_THAT(encode(*read(json), "xya"), ElementsAre(259, 0, 260));
  json["model"]["fuse_unk"] = false;
  EXPECT_THAT(encode(*read(json), "xya"), ElementsAre(259, 0, 0, 260));
  json["model"]["unk_token"] = nullptr;
  EXPECT_THAT(encode(*read(json), "xya"), ElementsAre(259, 260));
}

TEST(HfTokenizer, MetaspaceOfTheFirstWordOnly) {
  Json json = fallback_json({"▁", "a"}, Json::array());
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", false}};
  const auto tokenizer = read(json);
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(encode(*tokenizer, "a a</s>a", false, Specials::AsTokens),
              ElementsAre(259, 260, 259, 260, 2, 260));
}

TEST(HfTokenizer, IgnoreMergesTakesWholeWords) {
  Json json = byte_level();
  json["model"]["vocab"]["xyz"] = 262;
  EXPECT_THAT(encode(*read(json), "xyz"), ElementsAre('x', 'y', 'z'));
  json["model"]["ignore_merges"] = true;
  EXPECT_THAT(encode(*read(json), "xyz"), ElementsAre(262));
}

TEST(HfTokenizer, ConfigurationWins) {
  TokenizerRules rules =
      TokenizerRules::read(
          {{"add_bos_token", false}, {"bos_token", nullptr}, {"eos_token", {{"content", "<eos>"}}}})
          .value();
  auto tokenizer = read(byte_level(), rules);
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->bos(), kNoToken);
  EXPECT_EQ(tokenizer->eos(), 260);
  EXPECT_THAT(tokenizer->stop_ids(), ElementsAre(260));
  EXPECT_THAT(encode(*tokenizer, "a", true), ElementsAre('a'));

  rules = TokenizerRules::read({{"add_bos_token", true}, {"bos_token", "<eos>"}}).value();
  tokenizer = read(byte_level(), rules);
  ASSERT_TRUE(tokenizer);
  EXPECT_THAT(encode(*tokenizer, "a", true), ElementsAre(260, 'a'));

  // A name that is new is a new token.
  tokenizer = read(byte_level(), TokenizerRules::read({{"bos_token", "<none>"}}).value());
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ(tokenizer->bos(), 262);
  EXPECT_FALSE(TokenizerRules::read({{"add_bos_token", "yes"}}));
}

TEST(HfTokenizer, RefusesWhatItDoesNotKnowByName) {
  const auto changed = [](const char* key, const Json& value) {
    Json json = byte_level();
    json[key] = value;
    return refusal(json);
  };
  EXPECT_THAT(changed("normalizer", {{"type", "Precompiled"}}),
              HasSubstr("normalizer: Precompiled: the normalizer \"Precompiled\""));
  EXPECT_THAT(changed("pre_tokenizer", {{"type", "Frob"}}),
              HasSubstr("known are ByteLevel, Split"));
  EXPECT_THAT(changed("decoder", {{"type", "WordPiece"}}), HasSubstr("\"WordPiece\""));
  EXPECT_THAT(changed("decoder", nullptr), HasSubstr("no decoder"));
  EXPECT_THAT(changed("post_processor", {{"type", "BertProcessing"}}), HasSubstr("BertProcessing"));
  EXPECT_THAT(changed("model", {{"type", "Unigram"}}), HasSubstr("\"Unigram\""));
  Json json = byte_level();
  json["model"]["dropout"] = 0.1;
  EXPECT_THAT(refusal(json), HasSubstr("dropout"));
  json = byte_level();
  json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "a[b[c]]";
  EXPECT_THAT(refusal(json), HasSubstr("byte 3"));
}

TEST(HfTokenizer, RefusesContradictions) {
  const auto changed = [](auto change) {
    Json json = byte_level();
    change(json);
    return refusal(json);
  };
  EXPECT_THAT(changed([](Json& j) { j["model"]["merges"].push_back("a c"); }),
              HasSubstr("needs the token \"ac\""));
  EXPECT_THAT(changed([](Json& j) { j["model"]["merges"].push_back("a b c"); }),
              HasSubstr("merge 3: expected two tokens"));
  EXPECT_THAT(changed([](Json& j) { j["model"]["vocab"]["new"] = 5; }), HasSubstr("same id 5"));
  EXPECT_THAT(changed([](Json& j) { j["model"]["vocab"]["new"] = 10000000; }),
              HasSubstr("expected an id below"));
  EXPECT_THAT(changed([](Json& j) { j["added_tokens"][0]["id"] = 5; }),
              HasSubstr("has id 5, but in the vocabulary this is"));
  EXPECT_THAT(changed([](Json& j) { j["added_tokens"][0]["content"] = "<eos>"; }),
              HasSubstr("\"<eos>\" comes again and is another"));
  EXPECT_THAT(
      changed([](Json& j) { j["post_processor"]["special_tokens"]["<bos>"]["ids"] = {999}; }),
      HasSubstr("999 is outside"));
  EXPECT_THAT(refusal(Json::object()), HasSubstr("not a tokenizer.json"));
  EXPECT_THAT(refusal({{"model", 3}}), HasSubstr("not a tokenizer.json"));
}

TEST(HfTokenizer, PassesOverWhatThePackagePassesOver) {
  const auto ids = [](auto change) {
    Json json = byte_level();
    change(json);
    const auto tokenizer = read(json);
    return tokenizer ? encode(*tokenizer, "abc<tool>") : Ids{-1};
  };
  EXPECT_THAT(ids([](Json& j) { j["added_tokens"].push_back(j["added_tokens"][2]); }),
              ElementsAre(257, 261));
  EXPECT_THAT(ids([](Json& j) { j["added_tokens"].push_back(added_token(262, "")); }),
              ElementsAre(257, 261));
  EXPECT_THAT(ids([](Json& j) { j["model"]["merges"].push_back("a b"); }), ElementsAre(257, 261));
  EXPECT_THAT(ids([](Json& j) {
                j["model"]["merges"].insert(j["model"]["merges"].begin(), "#version: 0.2");
              }),
              ElementsAre(257, 261));
  EXPECT_THAT(ids([](Json& j) { j["model"]["vocab"][""] = 262; }), ElementsAre(257, 261));
}

// Of merges that come again the last counts.
TEST(HfTokenizer, AMergeThatComesAgainStandsThere) {
  Json json = byte_level_json({"a b", "b c"});
  EXPECT_THAT(encode(*read(json), "abc"), ElementsAre(256, 'c'));
  json["model"]["merges"].push_back("a b");
  EXPECT_THAT(encode(*read(json), "abc"), ElementsAre('a', 257));
}

TEST(HfTokenizer, EncodesAMegabyteQuickly) {
  const auto fallback =
      read(fallback_json({"▁", "a", "aa", "aaaa"}, Json::array({"a a", "aa aa"})));
  const auto bytes = read(byte_level());
  ASSERT_TRUE(fallback && bytes);
  std::string marks;  // a long run that NFC has to put in order
  while (marks.size() < 1 << 20) marks += "\xCC\x81\xCC\xA3";
  for (const std::string& text : {std::string(1 << 20, 'a'), std::string(1 << 20, ' '), marks}) {
    const std::clock_t start = std::clock();
    EXPECT_FALSE(encode(*fallback, text).empty());
    EXPECT_FALSE(encode(*bytes, text).empty());
    // A quadratic encoder needs hours; the allowance is for sanitizers.
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 20);
  }
}

TEST(OpenTokenizer, TakesAModelsDirectory) {
  const std::filesystem::path directory = ::diptych::testing::temporary_directory() + "/model";
  std::filesystem::create_directories(directory);
  auto missing = open_tokenizer(directory.string());
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().to_string(), HasSubstr("no tokenizer.json and no tokenizer.model"));
  std::ofstream(directory / "tokenizer.json") << dump_json(byte_level());
  std::ofstream(directory / "tokenizer_config.json") << R"({"eos_token": "<eos>"})";
  auto tokenizer = open_tokenizer(directory.string());
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->eos(), 260);
  std::ofstream(directory / "tokenizer_config.json") << R"({"eos_token": 3})";
  EXPECT_THAT(open_tokenizer(directory.string()).error().to_string(),
              HasSubstr("tokenizer_config.json: \"eos_token\""));
}

// The metadata of a GGUF made from a SentencePiece model in which pieces stand in order of merging;
// only runs of spaces come last, as in Llama 2's.
GgufTokenizer spm_gguf(const Tokenizer& model) {
  GgufTokenizer gguf;
  gguf.model = "llama";
  for (TokenId id = 0; id < model.vocab_size(); ++id) {
    std::string piece(model.piece(id));
    int32_t type = 1;
    if (id == 0) {
      piece = "<unk>";
      type = 2;
    } else if (id < 3) {
      piece = model.special_name(id);
      type = 3;
    } else if (id < 259) {
      piece = fmt::format("<0x{:02X}>", id - 3);
      type = 6;
    } else {
      for (size_t at; (at = piece.find(' ')) != piece.npos;) piece.replace(at, 1, "▁");
    }
    gguf.tokens.push_back(piece);
    gguf.token_types.push_back(type);
    const bool spaces = model.piece(id).size() > 1 &&
                        model.piece(id).find_first_not_of(' ') == std::string_view::npos;
    gguf.scores.push_back(spaces ? -1e9f : static_cast<float>(-id));
  }
  gguf.bos = 1;
  gguf.eos = 2;
  gguf.unknown = 0;
  return gguf;
}

constexpr const char* kTexts[] = {
    "Once upon a time, there was a bear.",
    "  a  b ",
    "\n\n\t1234567 don't I'LL",
    "\xC3\xA9\xF0\x9F\x91\x8D \xE6\x97\xA5\xE6\x9C\xAC \xD0\x9F\xD1\x80",
    "x = [1, 2]; // ok?!",
    ""};

TEST(GgufTokenizer, SpmEqualsTheModelItCameFrom) {
  for (const std::string& path :
       {::diptych::testing::source_path("demo/tokenizer.model"),
        ::diptych::testing::shared_data("tokenizers/llama2/tokenizer.model")}) {
    if (path.empty()) continue;  // without reference data the demo's alone
    auto model = open_tokenizer(path);
    ASSERT_OK(model);
    auto tokenizer = tokenizer_from_gguf(spm_gguf(**model));
    ASSERT_OK(tokenizer);
    EXPECT_EQ((*tokenizer)->kind(), "sentencepiece");
    EXPECT_EQ((*tokenizer)->eos(), 2);
    for (const char* text : kTexts) {
      EXPECT_EQ(encode(**tokenizer, text, true), encode(**model, text, true)) << text;
    }
  }
}

TEST(GgufTokenizer, SpmObeysItsFlags) {
  auto model = open_tokenizer(::diptych::testing::source_path("demo/tokenizer.model"));
  ASSERT_OK(model);
  GgufTokenizer gguf = spm_gguf(**model);
  gguf.add_bos = false;
  gguf.add_space_prefix = false;
  auto tokenizer = tokenizer_from_gguf(gguf);
  ASSERT_OK(tokenizer);
  EXPECT_THAT((*tokenizer)->prefix(), ElementsAre());
  EXPECT_FALSE((*tokenizer)->drops_leading_space());
  EXPECT_EQ((*tokenizer)->piece(encode(**tokenizer, "a")[0]), "a");
  gguf.scores.pop_back();
  EXPECT_THAT(tokenizer_from_gguf(gguf).error().to_string(),
              HasSubstr("tokenizer.ggml.scores has 1023"));
}

// Llama 3's rank file as a GGUF has it: every way to cut a token in two tokens is a merge.
TEST(GgufTokenizer, Llama3EqualsTheRankFile) {
  DIPTYCH_SKIP_WITHOUT_SHARED("tokenizers/llama3/tokenizer.model");
  auto model = open_tokenizer(::diptych::testing::shared_data("tokenizers/llama3/tokenizer.model"));
  ASSERT_OK(model);
  GgufTokenizer gguf;
  gguf.model = "gpt2";
  gguf.pre = "llama-bpe";
  gguf.bos = (*model)->bos();
  gguf.eos = (*model)->eos();
  std::unordered_map<std::string_view, TokenId> ranks;
  for (TokenId id = 0; id < (*model)->vocab_size(); ++id) {
    const std::string_view piece = (*model)->piece(id);
    gguf.tokens.emplace_back((*model)->special_name(id));
    gguf.token_types.push_back(piece.empty() ? 3 : 1);
    if (piece.empty()) continue;
    append_byte_level(piece, gguf.tokens.back());
    ranks[piece] = id;
  }
  for (TokenId id = 0; id < (*model)->bos(); ++id) {
    const std::string_view piece = (*model)->piece(id);
    std::vector<std::pair<TokenId, TokenId>> cuts;
    for (size_t at = 1; at < piece.size(); ++at) {
      const auto left = ranks.find(piece.substr(0, at)), right = ranks.find(piece.substr(at));
      if (left != ranks.end() && right != ranks.end()) {
        cuts.emplace_back(left->second, right->second);
      }
    }
    std::sort(cuts.begin(), cuts.end());
    for (const auto& [left, right] : cuts) {
      gguf.merges.push_back(gguf.tokens[static_cast<size_t>(left)] + " " +
                            gguf.tokens[static_cast<size_t>(right)]);
    }
  }
  auto tokenizer = tokenizer_from_gguf(gguf);
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->vocab_size(), 128256);
  EXPECT_EQ((*tokenizer)->stop_ids(), (*model)->stop_ids());
  for (const char* text : kTexts) {
    EXPECT_EQ(encode(**tokenizer, text, true), encode(**model, text, true)) << text;
  }
}

GgufTokenizer byte_level_gguf(const std::string& pre) {
  GgufTokenizer gguf;
  gguf.model = "gpt2";
  gguf.pre = pre;
  gguf.tokens.resize(258);
  const Json json = byte_level_json({"1 2", "12 3"});
  for (const auto& [token, id] : json["model"]["vocab"].items()) {
    if (id.get<size_t>() < 258) gguf.tokens[id.get<size_t>()] = token;
  }
  gguf.merges = {"1 2", "12 3"};
  gguf.token_types.assign(258, 1);
  for (const char* name : {"<|im_start|>", "<|im_end|>"}) {
    gguf.tokens.emplace_back(name);
    gguf.token_types.push_back(3);
  }
  gguf.bos = 258;
  gguf.eos = 259;
  return gguf;
}

TEST(GgufTokenizer, Gpt2CutsTheWordsOfItsFamily) {
  const auto ids = [](const std::string& pre) {
    auto tokenizer = tokenizer_from_gguf(byte_level_gguf(pre));
    EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().to_string();
    return tokenizer ? encode(**tokenizer, "123", true) : Ids{-1};
  };
  EXPECT_THAT(ids("gpt-2"), ElementsAre(257));
  EXPECT_THAT(ids(""), ElementsAre(257));
  EXPECT_THAT(ids("llama-bpe"), ElementsAre(258, 257));
  EXPECT_THAT(ids("qwen2"), ElementsAre('1', '2', '3'));
  EXPECT_THAT(ids("smollm"), ElementsAre('1', '2', '3'));
  auto tokenizer = tokenizer_from_gguf(byte_level_gguf("qwen2"));
  ASSERT_OK(tokenizer);
  EXPECT_THAT((*tokenizer)->stop_ids(), ElementsAre(259));
  EXPECT_THAT(encode(**tokenizer, "<|im_end|>", false, Specials::AsTokens), ElementsAre(259));
}

TEST(GgufTokenizer, OtherNamesStandForTheSameWords) {
  const auto ids = [](const std::string& pre) {
    auto tokenizer = tokenizer_from_gguf(byte_level_gguf(pre));
    EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().to_string();
    return tokenizer ? encode(**tokenizer, "x 123", true) : Ids{-1};
  };
  for (const char* pre : {"deepseek-r1-qwen", "megrez", "hunyuan", "stablelm2"}) {
    EXPECT_EQ(ids(pre), ids("qwen2")) << pre;
  }
  for (const char* pre : {"falcon3", "lfm2", "pixtral"}) EXPECT_EQ(ids(pre), ids("llama3")) << pre;
  for (const char* pre : {"starcoder", "command-r"}) EXPECT_EQ(ids(pre), ids("smollm")) << pre;
  for (const char* pre : {"phi-2", "olmo", "exaone4"}) EXPECT_EQ(ids(pre), ids("gpt-2")) << pre;
}

TEST(GgufTokenizer, TakesTheFirstOfEqualMergesAndPassesOverEmptyTokens) {
  GgufTokenizer gguf = byte_level_gguf("gpt-2");
  gguf.merges = {"#version: 0.2", "1 2", "12 3", "1 2"};
  gguf.tokens.emplace_back();
  gguf.token_types.push_back(1);
  auto tokenizer = tokenizer_from_gguf(gguf);
  ASSERT_OK(tokenizer);
  EXPECT_THAT(encode(**tokenizer, "123"), ElementsAre(257));
  auto model = open_tokenizer(::diptych::testing::source_path("demo/tokenizer.model"));
  ASSERT_OK(model);
  gguf = spm_gguf(**model);
  gguf.tokens.emplace_back();
  gguf.scores.push_back(0);
  gguf.token_types.push_back(1);
  tokenizer = tokenizer_from_gguf(gguf);
  ASSERT_OK(tokenizer);
  EXPECT_EQ(encode(**tokenizer, "Once"), encode(**model, "Once"));
}

TEST(GgufTokenizer, SpmPutsNoSpaceBeforeAUserDefinedToken) {
  auto model = open_tokenizer(::diptych::testing::source_path("demo/tokenizer.model"));
  ASSERT_OK(model);
  GgufTokenizer gguf = spm_gguf(**model);
  gguf.tokens.emplace_back("<|user|>");
  gguf.scores.push_back(0);
  gguf.token_types.push_back(4);
  auto tokenizer = tokenizer_from_gguf(gguf);
  ASSERT_OK(tokenizer);
  Ids expected = {1024};
  for (const TokenId id : encode(**model, "Once")) expected.push_back(id);
  EXPECT_EQ(encode(**tokenizer, "<|user|>Once"), expected);
  EXPECT_EQ(decode(**tokenizer, Ids{1024}), "<|user|>");
}

TEST(GgufTokenizer, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(tokenizer_from_gguf(byte_level_gguf("frob")).error().to_string(),
              HasSubstr("known are default, gpt-2, "));
  GgufTokenizer gguf = byte_level_gguf("gpt-2");
  gguf.model = "bert";
  EXPECT_THAT(tokenizer_from_gguf(gguf).error().to_string(), HasSubstr("known are llama and gpt2"));
  gguf = byte_level_gguf("gpt-2");
  gguf.eos = 260;
  EXPECT_THAT(tokenizer_from_gguf(gguf).error().to_string(), HasSubstr("eos_token_id is 260"));
  gguf = byte_level_gguf("gpt-2");
  gguf.tokens[5] = gguf.tokens[6];
  EXPECT_THAT(tokenizer_from_gguf(gguf).error().to_string(), HasSubstr("twice"));
  gguf = byte_level_gguf("gpt-2");
  gguf.token_types.pop_back();
  EXPECT_THAT(tokenizer_from_gguf(gguf).error().to_string(), HasSubstr("token_type has 259"));
  EXPECT_THAT(tokenizer_from_gguf({}).error().to_string(), HasSubstr("tokens is missing"));
  gguf = byte_level_gguf("gpt-2");
  gguf.merges.clear();
  EXPECT_THAT(tokenizer_from_gguf(gguf).error().to_string(), HasSubstr("merges is missing"));
}

}  // namespace
}  // namespace diptych::text
