// What an export takes up of the files that lie with a checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "exporter/forecast.h"
#include "pte/constant_method.h"
#include "pte/reader.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych::exporter {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

std::string demo_tokenizer() {
  return read_text_file(testing::source_path("demo/tokenizer.model")).value();
}

void put(const std::string& directory, const char* name, std::string_view text) {
  ASSERT_OK(write_file(directory + "/" + name, as_bytes(text)));
}

// A Hugging Face directory with as many tokens as the demo's tokenizer, which lies beside.
std::string directory_of(tools::SynthForm form, std::string_view vocab = "1024") {
  tools::SynthOptions options;
  options.shape = fmt::format("dim=32,layers=1,heads=2,hidden=64,vocab={}", vocab);
  options.form = form;
  options.directory = fmt::format("{}/{}", testing::temporary_directory(),
                                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
  fs::remove_all(options.directory);
  ThreadPool pool(1);
  Progress silent;
  EXPECT_TRUE(tools::synth(options, pool, silent).has_value());
  put(options.directory, "tokenizer.model", demo_tokenizer());
  return options.directory;
}

Options small() {
  Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  return options;
}

// A .pte, kept with what is read from it.
struct Exported {
  std::shared_ptr<const MappedFile> file;
  pte::Program program;
  card::ModelCard card;
};
Result<Exported> exported(const std::string& model, const Options& options) {
  const std::string path = testing::temporary_directory() + "/card.pte";
  Progress silent;
  TRY(export_files(model, "", path, options, silent));
  Exported result;
  result.file = TRY(MappedFile::open(path));
  result.program = TRY(pte::read(result.file->bytes()));
  result.card = TRY(card::read_card(result.program));
  return result;
}

TEST(Card, AHuggingFaceDirectorysFilesAreTakenUp) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace);
  put(model, "tokenizer_config.json",
      R"({"add_bos_token":false,"eos_token":{"content":"</s>"},)"
      R"("chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]})");
  put(model, "generation_config.json",
      R"({"eos_token_id":[7,2,99999],"temperature":0.6,"top_p":0.9,"do_sample":true})");
  Json config = parse_json(read_text_file(model + "/config.json").value()).value();
  config["_name_or_path"] = "someone/Tiny-1";
  config["eos_token_id"] = 5;
  put(model, "config.json", dump_json(config));

  const auto file = exported(model, small());
  ASSERT_OK(file);
  const card::ModelCard& card = file->card;
  EXPECT_EQ(card.name, "Tiny-1");
  EXPECT_EQ(card.bos, 1);
  EXPECT_THAT(card.eos, ElementsAre(2, 7));  // 99999 is no token of the model
  EXPECT_EQ(as_text(card.tokenizer.bytes()), demo_tokenizer());
  EXPECT_EQ(card.tokenizer_rules.add_bos, false);
  EXPECT_EQ(card.chat_template, "D");
  EXPECT_EQ(card.generation.temperature, 0.6);
  EXPECT_EQ(card.generation.do_sample, true);
  EXPECT_EQ(pte::constant_int(file->program, "get_max_context_len").value(), 64);

  put(model, "chat_template.jinja", "J\n");
  EXPECT_EQ(exported(model, small())->card.chat_template, "J\n");
}

TEST(Card, OfMetasFormTheTokenizerBesideAndNamedOnes) {
  const std::string model = directory_of(tools::SynthForm::Meta);
  const auto plain = exported(model + "/model.pth", small());
  ASSERT_OK(plain);
  EXPECT_EQ(as_text(plain->card.tokenizer.bytes()), demo_tokenizer());
  EXPECT_THAT(plain->card.eos, ElementsAre(2));
  EXPECT_EQ(plain->card.name, "");

  Options options = small();
  options.card.no_tokenizer = true;
  options.card.name = "of its own";
  const auto without = exported(model, options);
  ASSERT_OK(without);
  EXPECT_FALSE(without->card.has_tokenizer());
  EXPECT_TRUE(without->program.named_data.empty());
  EXPECT_EQ(without->card.name, "of its own");

  fs::remove(model + "/tokenizer.model");
  EXPECT_FALSE(exported(model, small())->card.has_tokenizer());
  options = small();
  options.card.tokenizer = testing::source_path("demo/tokenizer.model");
  EXPECT_EQ(as_text(exported(model, options)->card.tokenizer.bytes()), demo_tokenizer());
  options.card.tokenizer = model;
  EXPECT_THAT(exported(model, options).error().to_string(), HasSubstr("no tokenizer.json"));
}

TEST(Card, ATokenizerWithMoreTokensThanTheModelComesWithANote) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace, "1023");
  ASSERT_OK(exported(model, small()));
  const auto opened = open_model(model, "", {});
  ASSERT_OK(opened);
  EXPECT_THAT(opened->card.notes,
              ElementsAre(HasSubstr("tokenizer.model: the tokenizer has 1024 tokens, the model's "
                                    "vocabulary 1023")));
}

TEST(Card, OneThatCannotBeReadIsRefusedWithTheWayOut) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace);
  put(model, "tokenizer.model", "nothing of the kind");
  const Error error = exported(model, small()).error();
  EXPECT_THAT(error.to_string(), HasSubstr("not a tokenizer"));
  EXPECT_EQ(error.hint, Hint{Advice::LeaveTokenizer});
}

// The notes of an export of the model, and what it carries.
struct Noted {
  std::vector<std::string> notes;
  card::ModelCard card;
};
Noted noted(const std::string& model) {
  const auto opened = open_model(model, "");
  EXPECT_TRUE(opened.has_value()) << opened.error().to_string();
  return {opened->notes, opened->card};
}

TEST(Card, SamplingDefaultsNeverStopAnExport) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace);
  put(model, "generation_config.json",
      R"({"top_k":-1,"do_sample":1,"top_p":0.9,"temperature":[1],"eos_token_id":[7.0,"x"]})");
  Noted result = noted(model);
  EXPECT_THAT(result.notes,
              ElementsAre(HasSubstr("generation_config.json: \"do_sample\": expected true"),
                          HasSubstr("\"temperature\""), HasSubstr("\"top_k\" is -1")));
  EXPECT_EQ(result.card.generation.top_p, 0.9);
  EXPECT_FALSE(result.card.generation.top_k);
  EXPECT_THAT(result.card.eos, ElementsAre(2, 7));
  for (const char* broken : {"[]", "{\"top_k\": NaN}", "{", ""}) {
    put(model, "generation_config.json", broken);
    result = noted(model);
    EXPECT_THAT(result.notes, ElementsAre(HasSubstr("generation_config.json: ")));
    EXPECT_TRUE(result.card.generation.empty());
  }
}

TEST(Card, TemplatesStandWhereTransformersLooksForThem) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace);
  const auto found = [&] {
    const Noted result = noted(model);
    EXPECT_TRUE(result.notes.empty()) << result.notes.front();
    return result.card.chat_template;
  };
  put(model, "chat_template.json", R"({"chat_template":"from json"})");
  EXPECT_EQ(found(), "from json");
  for (
      const char* config :
      {R"({"chat_template":"D"})", R"({"chat_template":{"tool_use":"T","default":"D"}})",
       R"({"chat_template":{"other":"D"}})",
       R"({"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]})"}) {
    put(model, "tokenizer_config.json", config);
    EXPECT_EQ(found(), "D");
  }
  fs::create_directory(model + "/additional_chat_templates");
  put(model + "/additional_chat_templates", "default.jinja", "A");
  EXPECT_EQ(found(), "A");
  put(model, "chat_template.jinja", "J");
  EXPECT_EQ(found(), "J");
}

TEST(Card, ATemplateThatIsNoneIsLeftOutWithANote) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace);
  const auto note = [&] {
    const Noted result = noted(model);
    EXPECT_EQ(result.card.chat_template, "");
    return result.notes.empty() ? "" : result.notes.front();
  };
  put(model, "chat_template.jinja", "a\n{% for m in messages %}{{ m.content }}");
  EXPECT_THAT(note(), AllOf(HasSubstr("chat_template.jinja: chat template: line 2"),
                            HasSubstr("left out")));
  put(model, "chat_template.jinja", "a\n\xC3\xA4\xFF");
  EXPECT_THAT(note(), HasSubstr("line 2, column 2: a byte that is not UTF-8"));
  fs::remove(model + "/chat_template.jinja");
  put(model, "tokenizer_config.json", R"({"chat_template":{"a":"x","b":"y"}})");
  EXPECT_THAT(note(), HasSubstr("2 templates, but none is named \"default\""));
  put(model, "tokenizer_config.json", R"({"chat_template":7})");
  EXPECT_THAT(note(), HasSubstr("tokenizer_config.json: chat_template: "));
}

TEST(Card, WhatOnlyStandsInForAFileIsRefused) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json", "generation_config.json",
                           "chat_template.jinja"}) {
    put(model, file, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    EXPECT_THAT(open_model(model, "").error().to_string(),
                HasSubstr(std::string(file) + ": is a Git LFS pointer"));
    fs::remove(model + "/" + file);
    fs::create_symlink("nowhere", model + "/" + file);
    EXPECT_THAT(open_model(model, "").error().to_string(),
                HasSubstr(std::string(file) + ": is a link to \"nowhere\""));
    fs::remove(model + "/" + file);
  }
}

TEST(Card, OneAsTheSourceOfATokenizer) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace);
  ASSERT_OK(exported(model, small()));
  const std::string pte = testing::temporary_directory() + "/card.pte";
  const auto tokenizer = card::open_tokenizer(pte);
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->vocab_size(), 1024);
  Options options = small();
  options.card.no_tokenizer = true;
  ASSERT_OK(exported(model, options));
  EXPECT_THAT(card::open_tokenizer(pte).error().to_string(),
              HasSubstr("card.pte: the file carries no tokenizer"));
  EXPECT_THAT(card::open_tokenizer(testing::temporary_directory() + "/none").error().to_string(),
              HasSubstr("none"));
}

TEST(Card, TheForecastCountsTheTokenizer) {
  const std::string model = directory_of(tools::SynthForm::HuggingFace);
  put(model, "chat_template.jinja", std::string(5000, 'x'));
  auto opened = open_model(model, "");
  ASSERT_OK(opened);
  const auto foretold = forecast(std::move(*opened), small());
  ASSERT_OK(foretold);
  const auto file = exported(model, small());
  ASSERT_OK(file);
  EXPECT_EQ(foretold->report.file_bytes, file->file->bytes().size());
  EXPECT_EQ(foretold->report.tokenizer_bytes, demo_tokenizer().size());
}

// Synthetic GGUFs have no vocabulary; this one has the pieces that a model of it needs.
TEST(Card, AGgufsOwnTokenizerAndTemplate) {
  checkpoint::Checkpoint gguf;
  gguf.format = checkpoint::Format::Gguf;
  gguf.source = "tiny.gguf";
  gguf.config = shared_json({{"general.name", "Tiny G"}});
  auto vocabulary = std::make_shared<checkpoint::GgufTokenizer>();
  vocabulary->model = "llama";
  vocabulary->tokens = {"<unk>", "<s>", "</s>", "a", "\xE2\x96\x81", "<end>"};
  vocabulary->scores = {0, 0, 0, -1, -2, 0};
  vocabulary->types = {2, 3, 3, 1, 1, 3};
  vocabulary->bos_id = 1;
  vocabulary->eos_id = 2;
  vocabulary->eot_id = 5;
  vocabulary->unknown_id = 0;
  vocabulary->chat_template = "G";
  gguf.tokenizer = vocabulary;
  const auto card = card::card_of_model("/somewhere/tiny.gguf", gguf, 6, {});
  ASSERT_OK(card);
  EXPECT_EQ(card->name, "Tiny G");
  EXPECT_EQ(card->bos, 1);
  EXPECT_THAT(card->eos, ElementsAre(2, 5));
  EXPECT_EQ(card->chat_template, "G");
  const auto tokenizer = card::open_tokenizer(*card);
  ASSERT_OK(tokenizer);
  EXPECT_EQ((*tokenizer)->vocab_size(), 6);
  EXPECT_THAT((*tokenizer)->encode("a", true).value(), ElementsAre(1, 4, 3));
  const auto short_one = card::card_of_model("tiny.gguf", gguf, 2, {});
  ASSERT_OK(short_one);
  EXPECT_THAT(short_one->notes, ElementsAre(HasSubstr("tiny.gguf: the tokenizer has 6 tokens")));
  EXPECT_THAT(short_one->eos, ElementsAre());  // none that the model does not know
}

}  // namespace
}  // namespace diptych::exporter
