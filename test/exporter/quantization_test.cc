// Exports with other formats and algorithms than upstream's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "exporter/forecast.h"
#include "generate/session.h"
#include "testing/shared_data.h"

namespace diptych::exporter {
namespace {

using quant::Algorithm;
using ::testing::HasSubstr;

const std::string kDemoModel = testing::source_path("demo/model.pth");
constexpr int64_t kVocabulary = 1024;

Options options_of(std::string_view linear, Algorithm algorithm) {
  Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.linear = linear_from_text(linear).value();
  options.quantization.algorithm = algorithm;
  if (algorithm == Algorithm::Gptq) {
    for (int64_t text = 0; text < 3; ++text) {
      std::vector<int64_t> tokens;
      for (int64_t i = 0; i < 100; ++i) tokens.push_back((i * i * 7 + i * 13 + text) % kVocabulary);
      options.quantization.calibration.push_back(std::move(tokens));
    }
  }
  return options;
}

struct QuantizedExport {
  Report report;
  std::vector<float> logits;  // after a few tokens
};

// Exports the demo model, compares with what was foretold, and runs the file.
Result<QuantizedExport> export_and_run(const Options& options) {
  const std::string path = testing::temporary_directory() + "/quantised.pte";
  Progress silent;
  QuantizedExport exported;
  exported.report = TRY(export_files(kDemoModel, "", path, options, silent));
  const Forecast foretold = TRY(forecast(TRY(open_model(kDemoModel, "")), options));
  EXPECT_EQ(foretold.report.file_bytes, read_text_file(path)->size());
  EXPECT_EQ(foretold.report.unique_bytes, exported.report.unique_bytes);
  EXPECT_EQ(foretold.report.head.shared, exported.report.head.shared);
  runtime::Options precise;
  precise.numerics = engine::Numerics::Precise;
  const auto session = TRY(generate::Session::create(TRY(runtime::Program::open(path, precise))));
  const std::vector<int64_t> tokens = {1, 290, 420, 7, 99};
  const auto logits = TRY(session->evaluate(tokens));
  exported.logits.assign(logits.begin(), logits.end());
  return exported;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::fabs(static_cast<double>(a[i] - b[i]));
  return sum / static_cast<double>(a.size());
}

TEST(Quantization, EveryFormatAndAlgorithmRuns) {
  const auto whole = export_and_run(options_of("none", Algorithm::Rtn));
  ASSERT_OK(whole);
  EXPECT_EQ(whole->report.errors.size(), 1u);  // the embedding's
  for (const char* format : {"c4w", "c8w", "b4w", "b4w:64", "b4w:128"}) {
    for (const Algorithm algorithm : {Algorithm::Rtn, Algorithm::Mse, Algorithm::Gptq}) {
      SCOPED_TRACE(fmt::format("{} {}", format, quant::name(algorithm)));
      const auto quantised = export_and_run(options_of(format, algorithm));
      ASSERT_OK(quantised);
      EXPECT_LT(distance(quantised->logits, whole->logits), format[1] == '8' ? 0.2 : 2.0);
      const auto& errors = quantised->report.errors;
      ASSERT_EQ(errors.size(), 6u * 7 + 2);
      EXPECT_TRUE(std::is_sorted(errors.begin(), errors.end(), [](const auto& a, const auto& b) {
        return a.relative > b.relative;
      }));
      for (const TensorError& error : errors) {
        EXPECT_GT(error.relative, 0) << error.tensor;
        EXPECT_LT(error.relative, error.how.format.bits == 4 ? 0.3 : 0.02) << error.tensor;
        EXPECT_EQ(error.against_rounding.has_value(), error.how.algorithm == Algorithm::Gptq);
        EXPECT_LE(error.against_rounding.value_or(0), 1) << error.tensor;
      }
    }
  }
}

TEST(Quantization, PalettesRunAlikeInEveryNumerics) {
  const auto whole = export_and_run(options_of("none", Algorithm::Rtn));
  ASSERT_OK(whole);
  const std::string path = testing::temporary_directory() + "/quantised.pte";
  for (const char* format : {"p4", "p4:16", "p6", "p6:8", "p8", "p8:32"}) {
    SCOPED_TRACE(format);
    Options options = options_of(format, Algorithm::Rtn);
    options.embedding = embedding_from_text("p8").value();
    const auto palette = export_and_run(options);
    ASSERT_OK(palette);
    EXPECT_LT(distance(palette->logits, whole->logits), format[1] == '4' ? 2.0 : 0.5);
    for (const TensorError& error : palette->report.errors) {
      EXPECT_GT(error.relative, 0) << error.tensor;
      EXPECT_LT(error.relative, error.how.format.bits == 4 ? 0.15 : 0.04) << error.tensor;
    }
    for (const auto numerics : {engine::Numerics::Fast, engine::Numerics::Typed}) {
      runtime::Options other;
      other.numerics = numerics;
      const auto session =
          generate::Session::create(runtime::Program::open(path, other).value()).value();
      const std::vector<int64_t> tokens = {1, 290, 420, 7, 99};
      const auto logits = session->evaluate(tokens).value();
      EXPECT_LT(distance({logits.begin(), logits.end()}, palette->logits), 0.2);
    }
  }
}

TEST(Quantization, PalettesAreTheSameWhetherLinearsAreSplitOrNot) {
  for (const char* format : {"p4", "p6:32"}) {
    Options options = options_of(format, Algorithm::Rtn);
    options.split.target_size = 0;
    const auto whole = export_and_run(options);
    options.split.target_size = 64;
    const auto split = export_and_run(options);
    ASSERT_OK(whole);
    ASSERT_OK(split);
    EXPECT_LT(distance(whole->logits, split->logits), 1e-4);
  }
}

TEST(Quantization, GptqIsTheSameWhetherLinearsAreSplitOrNot) {
  Options options = options_of("b4w:64", Algorithm::Gptq);
  options.split.target_size = 0;
  const auto whole = export_and_run(options);
  options.split.target_size = 64;
  const auto split = export_and_run(options);
  ASSERT_OK(whole);
  ASSERT_OK(split);
  EXPECT_LT(distance(whole->logits, split->logits), 1e-3);
}

TEST(Quantization, OverridesChangeSingleLinears) {
  Options options = options_of("c4w", Algorithm::Mse);
  for (const char* text :
       {"layers.*.feed_forward.w?.weight=b4w:64", "layers.0.*=c8w", "output.weight=none"}) {
    options.quantization.overrides.push_back(override_from_text(text).value());
  }
  const auto exported = export_and_run(options);
  ASSERT_OK(exported);
  std::map<std::string, quant::Format> formats;
  for (const TensorError& error : exported->report.errors) {
    formats[error.tensor] = error.how.format;
  }
  EXPECT_EQ(formats.at("layers.0.attention.wq.weight"), quant::kC8w);
  EXPECT_EQ(formats.at("layers.0.feed_forward.w1.weight"), quant::kC8w);
  EXPECT_EQ(formats.at("layers.1.feed_forward.w1.weight"), (quant::Format{4, 64}));
  EXPECT_EQ(formats.at("layers.1.attention.wo.weight"), quant::kC4w);
  EXPECT_FALSE(formats.contains("output.weight"));
}

TEST(Quantization, OverridesThatFitNothingListWhatThereIs) {
  Options options = options_of("c4w", Algorithm::Rtn);
  options.quantization.overrides.push_back(override_from_text("layers.6.*=c8w").value());
  Progress silent;
  const auto report =
      export_files(kDemoModel, "", testing::temporary_directory() + "/out.pte", options, silent);
  ASSERT_FALSE(report.has_value());
  const std::string text = report.error().to_string();
  EXPECT_THAT(text, HasSubstr("no linear's tensor fits the pattern \"layers.6.*\"; there are"));
  EXPECT_THAT(text, HasSubstr("layers.0.attention.wq.weight"));
  EXPECT_THAT(text, HasSubstr("and 23 more"));
}

TEST(Quantization, PatternsFit) {
  EXPECT_TRUE(fits("*", "layers.0.wq"));
  EXPECT_TRUE(fits("layers.*.wq", "layers.10.wq"));
  EXPECT_TRUE(fits("*0*q", "layers.0.wq"));
  EXPECT_TRUE(fits("layers.?.wq**", "layers.0.wq"));
  EXPECT_TRUE(fits("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(fits("layers.?.wq", "layers.10.wq"));
  EXPECT_FALSE(fits("layers.0", "layers.0.wq"));
  EXPECT_FALSE(fits("", "x"));
  EXPECT_TRUE(fits("", ""));
}

TEST(Quantization, ATiedHeadOfTheSameFormatSharesTheEmbeddingsBlob) {
  Options options = options_of("c4w", Algorithm::Rtn);
  options.quantization.overrides.push_back(override_from_text("output.weight=c8w").value());
  const auto apart = export_and_run(options);
  ASSERT_OK(apart);
  EXPECT_TRUE(apart->report.head.tied);
  EXPECT_FALSE(apart->report.head.shared);
  EXPECT_THAT(apart->report.head.reason, HasSubstr("two packages"));
  options.graph_breaks = false;
  const auto shared = export_and_run(options);
  ASSERT_OK(shared);
  EXPECT_TRUE(shared->report.head.shared);
  EXPECT_LT(distance(shared->logits, apart->logits), 1e-3);
  // Its codes and scales are stored once.
  EXPECT_GE(apart->report.unique_bytes, shared->report.unique_bytes + kVocabulary * (128 + 2));

  // In one package they share across graph breaks, too.
  options.graph_breaks = true;
  options.sharing = passes::WeightSharing::OnePackage;
  for (const bool multifunction : {false, true}) {
    options.multifunction = multifunction;
    const auto one = export_and_run(options);
    ASSERT_OK(one);
    EXPECT_TRUE(one->report.head.shared);
    EXPECT_EQ(one->report.package_bytes.size(), 1U);
    EXPECT_LT(distance(one->logits, apart->logits), 1e-3);
  }
  options.multifunction = false;

  options.quantization.overrides.clear();
  const auto different = export_and_run(options);
  ASSERT_OK(different);
  EXPECT_FALSE(different->report.head.shared);
  EXPECT_THAT(different->report.head.reason, HasSubstr("the formats differ"));
}

TEST(Quantization, OptionsThatCannotBe) {
  const auto error = [](auto result) {
    return result ? std::string("success") : result.error().to_string();
  };
  EXPECT_EQ(error(linear_from_text("b4w:16")),
            "expected one of c4w, c8w, b4w, b4w:64, b4w:128, p4, p4:32, p4:16, p4:8, p6, p6:32, "
            "p6:16, p6:8, p8, p8:32, p8:16, p8:8, keep, none, found \"b4w:16\"");
  EXPECT_EQ(error(override_from_text("layers.0")),
            "expected PATTERN=FORMAT such as layers.0.*=c8w, found "
            "\"layers.0\"");
  EXPECT_THAT(error(override_from_text("layers.0.*=q8")), HasSubstr("expected one of c4w, c8w"));
  EXPECT_THAT(error(override_from_text("=c8w")), HasSubstr("expected PATTERN=FORMAT"));
  Options options = options_of("c4w", Algorithm::Gptq);
  EXPECT_EQ(error(check(options)), "success");
  options.quantization.calibration.resize(2);
  EXPECT_EQ(error(check(options)),
            "expected a text of at least 256 tokens, better some thousands, found 200");
  EXPECT_EQ(check(options).error().setting, Setting::Calibration);
  options.quantization.calibration.clear();  // then the sample is taken
  EXPECT_EQ(error(check(options)), "success");
  options = options_of("c4w", Algorithm::Gptq);
  options.quantization.calibration[1][50] = kVocabulary;
  Progress silent;
  EXPECT_EQ(error(export_files(kDemoModel, "", testing::temporary_directory() + "/out.pte", options,
                               silent)),
            "calibration: token 1024 is outside the vocabulary, expected 0 to 1023");
}

}  // namespace
}  // namespace diptych::exporter
