// Recipes, what a text of the project's own gives, and sizes that are asked for.
#include "exporter/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "card/model_card.h"
#include "exporter/allocate.h"
#include "exporter/complete.h"
#include "exporter/forecast.h"
#include "exporter/sample_texts.h"
#include "pte/reader.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych::exporter {
namespace {

using ::testing::HasSubstr;

const std::string kModel = testing::source_path("demo");

Options options_by(std::string_view recipe) {
  Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.multifunction = true;
  apply(*recipe_from_name(recipe).value(), options);
  return options;
}

Result<Report> export_to(const std::string& path, const Options& options) {
  Progress silent;
  return export_files(kModel, "", path, options, silent);
}

TEST(Recipe, NamesAreKnownAndOthersListThem) {
  EXPECT_EQ(recipe_from_name(kDefaultRecipe).value()->name, "balanced");
  EXPECT_EQ(recipe_from_name("tiny").error().to_string(),
            "expected one of upstream, small, balanced, best, none, found \"tiny\"");
}

TEST(Recipe, FilesSayWhichAndAreAsLargeAsTheirBits) {
  const std::string path = testing::temporary_directory() + "/recipe.pte";
  uint64_t before = 0;
  for (const std::string_view recipe : {"small", "balanced", "best", "none"}) {
    SCOPED_TRACE(recipe);
    const auto report = export_to(path, options_by(recipe));
    ASSERT_OK(report);
    EXPECT_TRUE(report->head.shared);
    EXPECT_GT(report->file_bytes, before);
    before = report->file_bytes;
    const auto file = read_text_file(path, 64 << 20).value();
    EXPECT_EQ(file.size(), report->file_bytes);
    const auto program = pte::read(std::as_bytes(std::span(file)));
    ASSERT_OK(program);
    EXPECT_EQ(card::read_card(*program).value().recipe, recipe);
  }
}

// Rows of 48 are no groups of 32, those of 96 are.
TEST(Recipe, RowsThatGroupsDoNotDivideHaveOneScale) {
  tools::SynthOptions shape;
  shape.shape = "dim=48,layers=1,heads=3,kv_heads=1,hidden=96,vocab=101";
  shape.form = tools::SynthForm::HuggingFace;
  shape.directory = testing::temporary_directory() + "/odd_rows";
  shape.force = true;
  ThreadPool pool(1);
  Progress silent;
  ASSERT_OK(tools::synth(shape, pool, silent));
  const std::string path = testing::temporary_directory() + "/odd_rows.pte";
  Options options = options_by(kDefaultRecipe);
  const auto report = export_files(shape.directory, "", path, options, silent);
  ASSERT_OK(report);
  EXPECT_THAT(report->notes,
              ::testing::Contains("layers.0.attention.wq.weight and 5 more: rows of 48 are not "
                                  "groups of 32; one scale a row"));
  options.groups_where_they_fit = false;
  const auto refused = export_files(shape.directory, "", path, options, silent);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("not a multiple of the group 32"));
}

TEST(Recipe, UpstreamsIsTheDefaultOfOptions) {
  Options options = options_by("upstream");
  Options plain;
  EXPECT_EQ(options.linear, plain.linear);
  EXPECT_EQ(options.embedding, plain.embedding);
  EXPECT_EQ(options.quantization.algorithm, plain.quantization.algorithm);
  EXPECT_FALSE(options.share_head);
}

TEST(Recipe, ATargetSizeIsKeptAndUsed) {
  const std::string path = testing::temporary_directory() + "/target.pte";
  Options options = options_by("small");
  options.quantization.bits = 0;
  const auto smallest = export_to(path, options);
  ASSERT_OK(smallest);
  for (const uint64_t more : {120'000U, 400'000U}) {
    options.quantization.target_bytes = smallest->file_bytes + more;
    const auto report = export_to(path, options);
    ASSERT_OK(report);
    EXPECT_LE(report->file_bytes, options.quantization.target_bytes);
    EXPECT_GT(report->file_bytes, smallest->file_bytes);
  }
  options.quantization.target_bytes = smallest->file_bytes - 10'000;
  const auto refused = export_to(path, options);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().setting, Setting::TargetSize);
  EXPECT_THAT(refused.error().message, HasSubstr("expected at least"));
}

TEST(Recipe, TheMostSensitiveLinearsRiseFirst) {
  std::vector<NamedLinear> linears;
  for (int i = 0; i < 4; ++i) {
    linears.push_back({fmt::format("layers.{}.attention.wq.weight", i),
                       zeros({DType::F16, {64, 64}}),
                       quant::Quantization{quant::kB4w, quant::Algorithm::Mse}});
  }
  Options options;
  options.linear = quant::kB4w;
  options.quantization.overrides.push_back(override_from_text("layers.3.*=b4w").value());
  const uint64_t each = packed_bytes(*linears[0].weight, quant::kB4w, DType::F16);
  const uint64_t most = packed_bytes(*linears[0].weight, quant::kC8w, DType::F16);
  raise_formats({1, 100, 2, 1e6}, options, 3 * each + most, linears);
  EXPECT_EQ(linears[0].how->format, quant::kB4w);
  EXPECT_EQ(linears[1].how->format, quant::kC8w);
  EXPECT_EQ(linears[2].how->format, quant::kB4w);
  EXPECT_EQ(linears[3].how->format, quant::kB4w);  // as an override says
}

TEST(SampleTexts, BecomeWindowsOfTokens) {
  const auto tokenizer = card::open_tokenizer(kModel);
  ASSERT_OK(tokenizer);
  const auto windows = token_windows(calibration_sample(), **tokenizer, {64, 1000});
  ASSERT_OK(windows);
  size_t tokens = 0;
  for (const auto& window : *windows) {
    EXPECT_LE(window.size(), 64U);
    EXPECT_EQ(window.front(), (*tokenizer)->bos());
    tokens += window.size() - 1;
  }
  EXPECT_EQ(tokens, 1000U);
  EXPECT_EQ(calibration_sample().find(held_out_sample().substr(0, 100)), std::string_view::npos);
}

TEST(SampleTexts, ChatsAreWrittenInTheModelsTemplate) {
  const auto tokenizer = card::open_tokenizer(kModel);
  ASSERT_OK(tokenizer);
  const std::string shouting = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}";
  const auto text_of = [&](std::string_view text, const std::string* chat_template) {
    std::string decoded;
    const auto windows = token_windows(text, **tokenizer, {512, 1000, chat_template});
    for (const auto& window : windows.value()) {
      for (const int64_t id : window) decoded += (*tokenizer)->piece(static_cast<int32_t>(id));
    }
    return decoded;
  };
  constexpr std::string_view kChat = "@user: hi\nyou\n@assistant: hello";
  EXPECT_THAT(text_of(kChat, &shouting), HasSubstr("[user]hi\nyou[assistant]hello"));
  EXPECT_THAT(text_of(kChat, nullptr), HasSubstr("@user: hi"));
  EXPECT_THAT(text_of("plain", &shouting), HasSubstr("plain"));
}

TEST(Complete, WithoutATokenizerWeightsAreQuantisedWithoutAText) {
  Options options = options_by("balanced");
  options.card.no_tokenizer = true;
  Model model = open_model(testing::source_path("demo/model.pth"), "", options).value();
  const std::string nowhere = testing::temporary_directory();
  ASSERT_OK(complete_from_headers(nowhere, model, options));
  EXPECT_EQ(options.quantization.algorithm, quant::Algorithm::Mse);
  ASSERT_FALSE(model.notes.empty());
  EXPECT_THAT(model.notes.back(), HasSubstr("no tokenizer to calibrate with"));
}

}  // namespace
}  // namespace diptych::exporter
