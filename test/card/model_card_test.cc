#include "card/model_card.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "pte/constant_method.h"
#include "pte/reader.h"
#include "pte/writer.h"
#include "testing/shared_data.h"

namespace diptych::card {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A program file, kept with what is read from it.
struct File {
  std::vector<std::byte> bytes;
  pte::Program program;
};
File file_of(const pte::Program& program) {
  File file;
  file.bytes = read_all(*pte::write(program).value()).value();
  file.program = pte::read(file.bytes).value();
  return file;
}

std::string demo_tokenizer() {
  return read_text_file(testing::source_path("demo/tokenizer.model")).value();
}

ModelCard full_card() {
  ModelCard card;
  card.name = "Tiny \"1\"";
  card.bos = 1;
  card.eos = {2, 7};
  card.tokenizer = pte::Blob::own(demo_tokenizer());
  card.tokenizer_rules.add_bos = false;
  card.tokenizer_rules.bos = "";
  card.tokenizer_rules.eos = "</s>";
  card.chat_template = "{{ messages }}\n";
  card.generation.do_sample = true;
  card.generation.temperature = 0.6;
  card.generation.top_k = 40;
  card.generation.top_p = 0.9;
  card.generation.min_p = 0.05;
  card.generation.repetition_penalty = 1.1;
  return card;
}

TEST(ModelCard, ComesBackFromAFile) {
  const ModelCard card = full_card();
  pte::Program program;
  ASSERT_OK(add_card(card, program));
  const File file = file_of(program);
  const auto read = read_card(file.program);
  ASSERT_OK(read);
  EXPECT_EQ(read->name, card.name);
  EXPECT_EQ(read->bos, 1);
  EXPECT_THAT(read->eos, ElementsAre(2, 7));
  EXPECT_EQ(as_text(read->tokenizer.bytes()), demo_tokenizer());
  EXPECT_EQ(read->tokenizer_rules.add_bos, false);
  EXPECT_EQ(read->tokenizer_rules.bos, "");
  EXPECT_EQ(read->tokenizer_rules.eos, "</s>");
  EXPECT_EQ(read->chat_template, card.chat_template);
  EXPECT_EQ(read->generation, card.generation);

  const auto tokenizer = open_tokenizer(*read);
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->vocab_size(), 1024);
  EXPECT_TRUE((*tokenizer)->prefix().empty());
  EXPECT_EQ((*tokenizer)->bos(), text::kNoToken);
}

TEST(ModelCard, AnEmptyOneAddsNothing) {
  pte::Program program;
  ASSERT_OK(add_card(ModelCard(), program));
  EXPECT_TRUE(program.methods.empty());
  EXPECT_TRUE(program.named_data.empty());
  const auto read = read_card(program);
  ASSERT_OK(read);
  EXPECT_EQ(read->name, "");
  EXPECT_FALSE(read->bos);
  EXPECT_TRUE(read->eos.empty());
  EXPECT_FALSE(read->has_tokenizer());
  EXPECT_TRUE(read->generation.empty());
  EXPECT_THAT(open_tokenizer(*read).error().to_string(), HasSubstr("carries no tokenizer"));
}

TEST(ModelCard, ReplacesOnlyWhatItSays) {
  pte::Program program;
  ASSERT_OK(add_card(full_card(), program));
  ModelCard other;
  other.eos = {9};
  other.chat_template = "x";
  ASSERT_OK(add_card(other, program));
  EXPECT_EQ(program.methods.size(), 3u);
  EXPECT_EQ(program.named_data.size(), 4u);
  const auto read = read_card(program);
  ASSERT_OK(read);
  EXPECT_EQ(read->bos, 1);
  EXPECT_THAT(read->eos, ElementsAre(9));
  EXPECT_EQ(read->chat_template, "x");
}

// As upstream's exporter writes lists.
TEST(ModelCard, TakesIdsFromSeveralOutputs) {
  pte::Program program;
  pte::Method method = pte::constant_method(std::string(kEosIds), int64_t{5});
  method.values.emplace_back(int64_t{6});
  method.outputs = {0, 1};
  program.methods = {method};
  EXPECT_THAT(read_card(program)->eos, ElementsAre(5, 6));
}

std::string refusal(const pte::Program& program) { return read_card(program).error().to_string(); }

TEST(ModelCard, RefusesIdsThatAreNone) {
  pte::Program program;
  program.methods = {pte::constant_method(std::string(kBosId), int64_t{-1})};
  EXPECT_THAT(refusal(program), AllOf(HasSubstr("get_bos_id"), HasSubstr("-1 is no token id")));
  program.methods = {pte::constant_method(std::string(kBosId), 0.5)};
  EXPECT_THAT(refusal(program), HasSubstr("expected token ids, found 0.5"));
  program.methods = {
      pte::constant_ints_method(program, std::string(kBosId), std::vector<int64_t>{1, 2}).value()};
  EXPECT_THAT(refusal(program), HasSubstr("at most 1 ids, found int64[2]"));
  program.methods = {
      pte::constant_ints_method(program, std::string(kEosIds), std::vector<int64_t>(1025, 3))
          .value()};
  EXPECT_THAT(refusal(program), HasSubstr("at most 1024 ids"));
  program.methods = {pte::constant_method(std::string(kModelName), true)};
  EXPECT_THAT(refusal(program), HasSubstr("expected a string, found true"));
}

TEST(ModelCard, RefusesDamagedNamedData) {
  const auto with = [](std::string_view key, std::string_view text) {
    pte::Program program;
    pte::set_named_data(program, key, pte::Blob::own(text));
    return program;
  };
  EXPECT_THAT(refusal(with(kTokenizerConfig, "{\"add_bos_token\":3}")),
              AllOf(HasSubstr("named data diptych.tokenizer_config"), HasSubstr("add_bos_token")));
  EXPECT_THAT(refusal(with(kTokenizerConfig, "[]")), HasSubstr("expected an object"));
  EXPECT_THAT(refusal(with(kGenerationConfig, "{")), HasSubstr("diptych.generation_config"));
  EXPECT_THAT(refusal(with(kGenerationConfig, "{\"top_p\":1.5}")),
              HasSubstr("\"top_p\" is 1.5, expected 0 to 1"));
  EXPECT_THAT(refusal(with(kGenerationConfig, "{\"top_k\":-1}")), HasSubstr("\"top_k\" is -1"));
  EXPECT_THAT(refusal(with(kGenerationConfig, "{\"temperature\":\"hot\"}")),
              HasSubstr("temperature"));
  EXPECT_THAT(refusal(with(kChatTemplate, std::string(kMaxTextBytes + 1, ' '))),
              HasSubstr("has 4194305 bytes, at most 4194304 are read"));

  // The tokenizer is looked at when it is opened.
  const pte::Program program = with(kTokenizer, demo_tokenizer().substr(0, 3000));
  const auto card = read_card(program);
  ASSERT_OK(card);
  EXPECT_THAT(open_tokenizer(*card).error().to_string(), HasSubstr("named data diptych.tokenizer"));
}

TEST(ModelCard, AMethodThatComputesIsNotReplaced) {
  pte::Program program;
  program.methods = {pte::constant_method(std::string(kBosId), int64_t{1})};
  program.methods[0].instructions.emplace_back(pte::FreeCall{0});
  EXPECT_THAT(add_card(full_card(), program).error().to_string(),
              HasSubstr("'get_bos_id' computes something"));
}

TEST(ModelCard, ANameThatIsNoTextIsRefused) {
  ModelCard card;
  card.name = "\xFF";
  pte::Program program;
  EXPECT_THAT(add_card(card, program).error().to_string(), HasSubstr("name is not UTF-8"));
}

TEST(GenerationDefaults, NullSaysNothingAndOtherKeysArePassedOver) {
  std::vector<std::string> problems;
  const auto defaults = read_generation_defaults(
      Json{{"temperature", nullptr}, {"transformers_version", "4.40"}, {"top_k", 0}}, problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_FALSE(defaults.temperature);
  EXPECT_EQ(defaults.top_k, 0);
  EXPECT_EQ(dump_json(to_json(defaults)), "{\"top_k\":0}");
}

TEST(GenerationDefaults, WhatCannotBeUsedIsLeftOutAndNamed) {
  std::vector<std::string> problems;
  const auto defaults = read_generation_defaults(
      Json{{"top_k", -1}, {"do_sample", 1}, {"top_p", {0.9}}, {"min_p", 7}, {"temperature", 1}},
      problems);
  EXPECT_EQ(dump_json(to_json(defaults)), "{\"temperature\":1.0}");
  EXPECT_THAT(problems, ElementsAre(HasSubstr("\"do_sample\""), HasSubstr("\"top_k\" is -1"),
                                    HasSubstr("\"top_p\""), HasSubstr("\"min_p\" is 7")));
  problems.clear();
  EXPECT_TRUE(read_generation_defaults(Json::array(), problems).empty());
  EXPECT_THAT(problems, ElementsAre("expected an object"));
}

}  // namespace
}  // namespace diptych::card
