// Models opened with what their files carry and with what is named in its place.
#include "answer/opened_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "answer/chat_prompt.h"
#include "answer/sampling.h"
#include "answer/text_stream.h"
#include "base/file.h"
#include "exporter/export.h"
#include "jinja/chat_template.h"
#include "testing/shared_data.h"

namespace diptych::answer {
namespace {

using ::testing::HasSubstr;

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% for c in m.tool_calls %}[{{ c.function.name }} {{ c.function.arguments.town }}]{% endfor %}"
    ";{% endfor %}{% if tools %} {{ tools | length }} tools{% endif %}";

std::string file_of(const std::string& name, std::string_view content) {
  const std::string path = testing::temporary_directory() + "/" + name;
  EXPECT_TRUE(write_file(path, as_bytes(content)));
  return path;
}

// The demo model, which carries its tokenizer or nothing but its methods.
std::string exported(bool with_tokenizer) {
  const std::string path =
      testing::temporary_directory() + (with_tokenizer ? "/whole.pte" : "/bare.pte");
  exporter::Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.multifunction = true;
  options.card.no_tokenizer = !with_tokenizer;
  Progress silent;
  const auto report =
      exporter::export_files(testing::source_path("demo/model.pth"),
                             testing::source_path("demo/params.json"), path, options, silent);
  EXPECT_TRUE(report) << report.error().to_string();
  return path;
}
const std::string& whole() {
  static const std::string kPath = exported(true);
  return kPath;
}
const std::string& bare() {
  static const std::string kPath = exported(false);
  return kPath;
}

OpenOptions named(const std::string& tokenizer, const std::string& chat_template) {
  OpenOptions options;
  options.threads = 1;
  options.tokenizer_path = tokenizer;
  options.chat_template_path = chat_template;
  return options;
}

TEST(OpenedModel, OpensWhatTheFileCarries) {
  const auto model = OpenedModel::open(whole(), {.threads = 1});
  ASSERT_OK(model);
  EXPECT_EQ(model->path(), whole());
  EXPECT_EQ(model->vocab_size(), 1024);
  EXPECT_EQ(model->max_context(), 64);
  ASSERT_NE(model->tokenizer(), nullptr);
  EXPECT_EQ(model->chat_template(), nullptr);
  EXPECT_TRUE(model->stop_ids().contains(model->tokenizer()->eos()));
  EXPECT_EQ(model->sampling().temperature, 0);
  EXPECT_TRUE(model->notes().empty());
}

TEST(OpenedModel, LeavesOutWhatTheFileLacks) {
  const auto model = OpenedModel::open(bare(), {.threads = 1});
  ASSERT_OK(model);
  EXPECT_EQ(model->tokenizer(), nullptr);
  EXPECT_EQ(model->chat_template(), nullptr);
}

TEST(OpenedModel, OpensNothingThatIsUnused) {
  OpenOptions options = named("/nowhere", "/nowhere");
  options.tokenizer = options.chat_template = Part::Unused;
  const auto model = OpenedModel::open(whole(), options);
  ASSERT_OK(model);
  EXPECT_EQ(model->tokenizer(), nullptr);
}

TEST(OpenedModel, RefusesWhatIsNeededAndMissing) {
  OpenOptions options;
  options.tokenizer = Part::Needed;
  auto model = OpenedModel::open(bare(), options);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::NotFound);
  EXPECT_EQ(model.error().hint, Hint{Advice::NameTokenizer});
  EXPECT_EQ(model.error().to_string(), bare() + ": the file carries no tokenizer");
  options.chat_template = Part::Needed;
  model = OpenedModel::open(whole(), options);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().hint, Hint{Advice::NameChatTemplate});
}

TEST(OpenedModel, TakesWhatIsNamed) {
  const std::string jinja = file_of("t.jinja", kTemplate);
  const auto model =
      OpenedModel::open(bare(), named(testing::source_path("demo/tokenizer.model"), jinja));
  ASSERT_OK(model);
  ASSERT_NE(model->tokenizer(), nullptr);
  ASSERT_NE(model->chat_template(), nullptr);
  EXPECT_TRUE(model->stop_ids().contains(model->tokenizer()->eos()));

  const std::string bad = file_of("bad.jinja", "{% for %}");
  const auto refused = OpenedModel::open(bare(), named("", bad));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("bad.jinja"));
  EXPECT_FALSE(OpenedModel::open(bare(), named(bad, "")));
  EXPECT_FALSE(OpenedModel::open(jinja, {}));
}

TEST(OpenedModel, RefusesPromptsThatCannotFit) {
  const auto model = OpenedModel::open(whole(), {.threads = 1});
  ASSERT_OK(model);
  const auto ids = model->encode("Once upon", true, text::Specials::AsText);
  ASSERT_OK(ids);
  EXPECT_EQ((*ids)[0], model->tokenizer()->bos());
  const auto refused = model->encode(std::string(10'000'000, 'a'), true, text::Specials::AsText);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("the prompt is 10000000 bytes long"));
}

// What a server does: several sessions of one model, each with its stream.
TEST(OpenedModel, AnswersInManySessions) {
  const auto model =
      OpenedModel::open(whole(), {.numerics = engine::Numerics::Precise, .threads = 1});
  ASSERT_OK(model);
  const auto prompt = model->encode("Once upon a time", true, text::Specials::AsText).value();
  generate::GenerateOptions options;
  options.max_tokens = 12;
  options.stop_tokens = model->stop_ids();
  std::vector<std::unique_ptr<generate::Session>> sessions;
  std::vector<std::string> texts;
  for (int i = 0; i < 2; ++i) {
    auto session = model->new_session();
    ASSERT_OK(session);
    sessions.push_back(std::move(*session));
  }
  for (const auto& session : sessions) {
    EXPECT_EQ(session->position(), 0);
    TextStream stream(model->tokenizer(), {}, [](const Piece&) { return true; });
    EXPECT_EQ(stream.begin_after(prompt), "Once upon a time");
    generate::Sampler sampler(model->sampling());
    ASSERT_OK(stream.generate(*session, prompt, options, sampler));
    texts.push_back(stream.finish().text);
  }
  EXPECT_THAT(texts[0], ::testing::StartsWith(","));
  EXPECT_EQ(texts[0], texts[1]);
}

TEST(ChatPrompt, HasToolsAndTheirResults) {
  const auto tokenizer = text::open_tokenizer(testing::source_path("demo/tokenizer.model")).value();
  const auto chat_template = jinja::ChatTemplate::parse(kTemplate).value();
  const Transcript transcript{{{Role::User, "How warm?"},
                               {Role::Assistant, "", {{"1", "weather", R"({"town": "Rome"})"}}},
                               {Role::Tool, "31", {}, "1"}}};
  EXPECT_EQ(chat_prompt(chat_template, *tokenizer, transcript, {.tools = "[{},{}]"}).value(),
            "<s>user: How warm?;assistant: [weather Rome];tool: 31; 2 tools");
  EXPECT_THAT(chat_prompt(chat_template, *tokenizer, transcript).value(),
              ::testing::EndsWith("tool: 31;"));
  EXPECT_FALSE(chat_prompt(chat_template, *tokenizer, transcript, {.tools = "{}"}));
  EXPECT_FALSE(chat_prompt(chat_template, *tokenizer, transcript, {.tools = "[1"}));
}

TEST(Sampling, ChoicesWinOverTheModelsDefaults) {
  const generate::SamplerOptions silent = sampling_defaults({});
  EXPECT_EQ(silent.temperature, 0);
  EXPECT_EQ(silent.top_k, 0);
  card::GenerationDefaults wanted;
  wanted.temperature = 0.7;
  EXPECT_EQ(sampling_defaults(wanted).temperature, 0);  // without do_sample
  wanted.do_sample = true;
  wanted.top_p = 0.9;
  const generate::SamplerOptions defaults = sampling_defaults(wanted);
  EXPECT_EQ(defaults.temperature, 0.7);
  EXPECT_EQ(defaults.top_k, 50);
  EXPECT_EQ(defaults.top_p, 0.9);
  SamplingChoices choices;
  choices.top_p = 0.5;
  choices.seed = 3;
  choices.logit_bias = {{7, 1.5}};
  const generate::SamplerOptions chosen = sampler_options(choices, defaults);
  EXPECT_EQ(chosen.top_p, 0.5);
  EXPECT_EQ(chosen.temperature, 0.7);
  EXPECT_EQ(chosen.seed, 3u);
  EXPECT_EQ(chosen.logit_bias, choices.logit_bias);
}

}  // namespace
}  // namespace diptych::answer
