#include "tools/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "card/model_card.h"
#include "coreml/delegate.h"
#include "exporter/export.h"
#include "generate/generator.h"
#include "pte/constant_method.h"
#include "pte/reader.h"
#include "runtime/coreml_payload.h"
#include "sample.h"
#include "testing/shared_data.h"

namespace diptych::tools {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string path_of(const char* name) {
  return ::diptych::testing::temporary_directory() + "/" + name;
}

std::string written(const pte::Program& program, const char* name = "in.pte") {
  const std::string path = path_of(name);
  EXPECT_TRUE(write_file(path, testing::file_of(program)).has_value());
  return path;
}

// What an edit makes of a file, read again.
struct Edited {
  std::shared_ptr<const MappedFile> file;
  pte::Program program;
};
Result<Edited> saved(const MetadataEditor& editor) {
  Progress silent;
  const std::string path = path_of("edited.pte");
  TRY(editor.save(path, silent));
  Edited edited;
  edited.file = TRY(MappedFile::open(path));
  edited.program = TRY(pte::read(edited.file->bytes()));
  return edited;
}

TEST(MetadataEditor, SetsValuesOfEveryType) {
  pte::Program program = testing::shared_program();
  program.methods.push_back(pte::constant_method("old", int64_t{3}));
  auto editor = MetadataEditor::open(written(program));
  ASSERT_OK(editor);
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, const char*>>{{"old", "true"},
                                                        {"int", "-512"},
                                                        {"number", "1e-5"},
                                                        {"text", "\"12 \\u00e9\""},
                                                        {"word", "Llama-3.2=x"},
                                                        {"list", "[1,2]"},
                                                        {"table", "[[1,96],[3,4]]"},
                                                        {"empty", "[]"}}) {
    ASSERT_OK(editor->set(name, value));
  }
  const auto edited = saved(*editor);
  ASSERT_OK(edited);
  const auto value = [&](const char* name) {
    return pte::constant_value(edited->program, name).value();
  };
  const auto shape = [&](const char* name) {
    return std::get<pte::ConstantTensor>(value(name)).type;
  };
  EXPECT_EQ(std::get<bool>(value("old")), true);
  EXPECT_EQ(std::get<int64_t>(value("int")), -512);
  EXPECT_EQ(std::get<double>(value("number")), 1e-5);
  EXPECT_EQ(std::get<std::string>(value("text")), "12 \xC3\xA9");
  EXPECT_EQ(std::get<std::string>(value("word")), "Llama-3.2=x");
  EXPECT_EQ(shape("list"), (TensorType{DType::Int64, {2}}));
  EXPECT_EQ(shape("table"), (TensorType{DType::Int64, {2, 2}}));
  EXPECT_EQ(shape("empty"), (TensorType{DType::Int64, {0}}));
  EXPECT_THAT(pte::constant_ints(edited->program, "table").value(), ElementsAre(1, 96, 3, 4));
  EXPECT_EQ(edited->program.methods.size(), program.methods.size() + 7);
}

TEST(MetadataEditor, RefusesWhatIsNoValue) {
  auto editor = MetadataEditor::open(written(testing::shared_program()));
  ASSERT_OK(editor);
  for (const char* value : {"", "[1,x]", "[1,[2]]", "[[1],[2,3]]", "[1.5]", "{\"a\":1}", "null",
                            "12x", "\"open", "99999999999999999999", "two words"}) {
    EXPECT_THAT(editor->set("name", value).error().to_string(), HasSubstr("expected an integer"))
        << value;
  }
  EXPECT_THAT(editor->set("forward", "1").error().to_string(), HasSubstr("computes something"));
  EXPECT_THAT(editor->set("a b", "1").error().to_string(), HasSubstr("is no name of a method"));
  EXPECT_THAT(editor->set("", "1").error().to_string(), HasSubstr("is no name of a method"));
}

TEST(MetadataEditor, RenamesConstantsAndRefusesNamesThatAreTaken) {
  pte::Program program = testing::shared_program();
  program.methods.push_back(pte::constant_method("vocab_size", int64_t{32}));
  auto editor = MetadataEditor::open(written(program));
  ASSERT_OK(editor);
  EXPECT_THAT(editor->rename_method("nothing", "x").error().to_string(),
              AllOf(HasSubstr("no method \"nothing\""), HasSubstr("prefill")));
  EXPECT_THAT(editor->rename_method("vocab_size", "prefill").error().to_string(),
              HasSubstr("there is a method \"prefill\" already"));
  ASSERT_OK(editor->rename_method("vocab_size", "get_vocab_size"));
  const auto edited = saved(*editor);
  ASSERT_OK(edited);
  EXPECT_EQ(pte::constant_int(edited->program, "get_vocab_size").value(), 32);
  EXPECT_EQ(pte::find_method(edited->program, "vocab_size"), nullptr);
  EXPECT_EQ(edited->program.named_data[0].key, program.named_data[0].key);
}

// The name stands in the reference, in metadata.json and in the model.
TEST(MetadataEditor, RenamesAMethodInItsPackage) {
  const pte::Program program = testing::shared_program();
  auto editor = MetadataEditor::open(written(program));
  ASSERT_OK(editor);
  ASSERT_OK(editor->rename_method("forward", "decode"));
  const auto edited = saved(*editor);
  ASSERT_OK(edited);
  ASSERT_EQ(edited->program.named_data.size(), 1u);
  EXPECT_NE(edited->program.named_data[0].key, program.named_data[0].key);
  for (const char* name : {"decode", "prefill"}) {
    const pte::Method* method = pte::find_method(edited->program, name);
    ASSERT_NE(method, nullptr);
    const auto payload = runtime::coreml_payload(edited->program, method->delegates[0]);
    ASSERT_OK(payload);
    EXPECT_EQ(payload->reference->function_name, name);
    const auto delegate = coreml::read_delegate(payload->blob, nullptr);
    ASSERT_OK(delegate);
    EXPECT_EQ("coreml_" + delegate->metadata.identifier, payload->reference->key);
    const auto function = coreml::resolve_function(*delegate, name, &*payload->reference);
    ASSERT_OK(function);
    EXPECT_EQ(function->function->name, name);
    EXPECT_EQ(delegate->model.program.find("forward"), nullptr);
  }
  // The same edit gives the same bytes; another name another identifier.
  const std::string first = read_text_file(path_of("edited.pte")).value();
  auto again = MetadataEditor::open(path_of("in.pte"));
  ASSERT_OK(again->rename_method("forward", "decode"));
  ASSERT_OK(saved(*again));
  EXPECT_TRUE(read_text_file(path_of("edited.pte")).value() == first);
  auto other = MetadataEditor::open(path_of("in.pte"));
  ASSERT_OK(other->rename_method("forward", "other"));
  EXPECT_NE(saved(*other)->program.named_data[0].key, edited->program.named_data[0].key);
}

TEST(MetadataEditor, AMethodWithAPackageOfItsOwnIsOnlyRenamed) {
  const pte::Program program = testing::legacy_program();
  auto editor = MetadataEditor::open(written(program));
  ASSERT_OK(editor);
  ASSERT_OK(editor->rename_method("prefill", "prompt"));
  const auto edited = saved(*editor);
  ASSERT_OK(edited);
  EXPECT_EQ(pte::find_method(edited->program, "prompt")->delegates[0].processed,
            pte::find_method(program, "prefill")->delegates[0].processed);
}

TEST(MetadataEditor, ADamagedPackageIsRefusedBeforeAnythingIsWritten) {
  pte::Program program = testing::shared_program();
  program.named_data[0].data = pte::Blob::own("no file system");
  auto editor = MetadataEditor::open(written(program));
  ASSERT_OK(editor);
  EXPECT_THAT(editor->rename_method("forward", "decode").error().to_string(),
              HasSubstr("method forward, partition 0"));
}

class DemoTest : public ::testing::Test {
 protected:
  // The demo model for two methods, without its tokenizer.
  static std::string exported() {
    static const std::string path = [] {
      exporter::Options options;
      options.max_context_len = 64;
      options.input_len = 16;
      options.multifunction = true;
      options.card.no_tokenizer = true;
      Progress silent;
      EXPECT_TRUE(exporter::export_files(::diptych::testing::source_path("demo/model.pth"), "",
                                         path_of("demo.pte"), options, silent)
                      .has_value());
      return path_of("demo.pte");
    }();
    return path;
  }

  static std::vector<int64_t> tokens_of(const std::string& path) {
    auto program = runtime::Program::open(path, {engine::Numerics::Precise, 1});
    EXPECT_TRUE(program.has_value()) << program.error().to_string();
    auto session = generate::Session::create(*program);
    EXPECT_TRUE(session.has_value()) << session.error().to_string();
    generate::GenerateOptions options;
    options.max_tokens = 12;
    const std::vector<int64_t> prompt = {1, 420, 421, 261, 370};
    return generate::generate(**session, prompt, options,
                              [](const generate::Token&) { return true; })
        ->tokens;
  }
};

TEST_F(DemoTest, RunsTheSameUnderOtherNames) {
  auto editor = MetadataEditor::open(exported());
  ASSERT_OK(editor);
  ASSERT_OK(editor->rename_method("forward", "decode"));
  ASSERT_OK(editor->rename_method("vocab_size", "get_vocab_size"));
  ASSERT_OK(saved(*editor));
  const auto expected = tokens_of(exported());
  EXPECT_EQ(expected.size(), 12u);
  EXPECT_EQ(tokens_of(path_of("edited.pte")), expected);
}

TEST_F(DemoTest, RenamedThereAndBackOnlyIdentifiersDiffer) {
  auto editor = MetadataEditor::open(exported());
  ASSERT_OK(editor->rename_method("prefill", "p"));
  ASSERT_OK(saved(*editor));
  auto back = MetadataEditor::open(path_of("edited.pte"));
  ASSERT_OK(back->rename_method("p", "prefill"));
  // In place.
  Progress silent;
  ASSERT_OK(back->save(path_of("edited.pte"), silent));
  EXPECT_EQ(read_text_file(path_of("edited.pte"))->size(), read_text_file(exported())->size());
  EXPECT_EQ(tokens_of(path_of("edited.pte")), tokens_of(exported()));
}

TEST_F(DemoTest, TakesATokenizerAndATemplate) {
  auto editor = MetadataEditor::open(exported());
  ASSERT_OK(editor);
  const std::string path = path_of("chat.jinja");
  ASSERT_OK(write_file(path, as_bytes("{{ bos_token }}")));
  ASSERT_OK(editor->set_tokenizer(::diptych::testing::source_path("demo/tokenizer.model")));
  ASSERT_OK(editor->set_chat_template(path));
  const auto edited = saved(*editor);
  ASSERT_OK(edited);
  const auto card = card::read_card(edited->program);
  ASSERT_OK(card);
  EXPECT_EQ(card->bos, 1);
  EXPECT_THAT(card->eos, ElementsAre(2));
  EXPECT_EQ(card->chat_template, "{{ bos_token }}");
  ASSERT_OK(card::open_tokenizer(*card));

  auto without = MetadataEditor::open(path_of("edited.pte"));
  ASSERT_OK(without->set_tokenizer(""));
  ASSERT_OK(without->set_chat_template(""));
  EXPECT_TRUE(without->program().named_data.size() < edited->program.named_data.size());
  EXPECT_FALSE(card::read_card(without->program())->has_tokenizer());
  EXPECT_EQ(card::read_card(without->program())->chat_template, "");

  EXPECT_THAT(editor->set_tokenizer(path).error().to_string(), HasSubstr("chat.jinja: "));
  ASSERT_OK(write_file(path, as_bytes("")));
  EXPECT_THAT(editor->set_chat_template(path).error().to_string(), HasSubstr("the file is empty"));
  // One with more tokens than the model is taken.
  ASSERT_OK(editor->set("vocab_size", "1000"));
  ASSERT_OK(editor->set_tokenizer(::diptych::testing::source_path("demo/tokenizer.model")));
  const auto small = card::read_card(editor->program());
  ASSERT_OK(small);
  EXPECT_EQ(small->bos, 1);
  EXPECT_TRUE(small->has_tokenizer());
}

}  // namespace
}  // namespace diptych::tools
