// The demo model, measured for a moment.
#include <gmock/gmock.h>

#include <algorithm>

#include "measure/measure.h"
#include "measure/cost.h"
#include "exporter/export.h"
#include "testing/shared_data.h"
#include "tools/inspect.h"

namespace diptych::measure {
namespace {

using ::testing::SizeIs;

// What the demo's linears multiply and add per token: 6 layers of q, k, v, o (128 to 128, 64, 64,
// 128) and three of 128 x 384.
constexpr uint64_t kLayerMultiplyAdds = 128 * (128 + 64 + 64 + 128 + 3 * 384);
constexpr uint64_t kHeadMultiplyAdds = 128 * 1024;
constexpr int64_t kPrefillTokens = 16;

Result<std::string> export_demo(bool multifunction) {
  exporter::Options options;
  options.max_context_len = 64;
  options.input_len = kPrefillTokens;
  options.multifunction = multifunction;
  const std::string path =
      testing::temporary_directory() + (multifunction ? "/multi.pte" : "/single.pte");
  Progress silent;
  TRY(exporter::export_files(testing::source_path("demo/model.pth"),
                             testing::source_path("demo/params.json"), path, options, silent));
  return path;
}

Options short_options(const std::string& path) {
  Options options;
  options.models = {path};
  options.prompts = {24};
  options.generations = {4};
  options.depths = {0, 40, 64};
  options.threads = {1, 2};
  options.repetitions = 2;
  return options;
}

TEST(Run, MeasuresOrSkipsEveryTest) {
  for (const bool multifunction : {false, true}) {
    const auto path = export_demo(multifunction);
    ASSERT_OK(path);
    Progress silent;
    const auto report = run(short_options(*path), silent);
    ASSERT_OK(report);
    EXPECT_FALSE(report->interrupted);
    EXPECT_FALSE(report->machine.empty());
    ASSERT_THAT(report->rows, SizeIs(12));
    for (const Row& row : report->rows) {
      EXPECT_EQ(row.model, *path);
      EXPECT_GT(row.start.load_seconds, 0);
      EXPECT_GT(row.start.first_token_seconds, row.start.load_seconds);
      EXPECT_GT(row.start.peak_memory_bytes, 0U);
      EXPECT_EQ(row.skipped.empty(), row.test.depth < 64) << row.test.name();
      if (!row.skipped.empty()) {
        EXPECT_THAT(row.samples, SizeIs(0));
        continue;
      }
      ASSERT_THAT(row.samples, SizeIs(2));
      EXPECT_GT(row.statistics().median, 0);
      EXPECT_GT(row.percent_of_limit(), 0);
    }
    EXPECT_EQ(report->rows[0].threads, 1);
    EXPECT_EQ(report->rows[11].threads, 2);
  }
}

// What decoding reads is what inspect finds in the weight files, less the embeddings of all tokens
// but one.
TEST(Run, CountsTheWorkOfATest) {
  const auto path = export_demo(true);
  ASSERT_OK(path);
  const auto program = runtime::Program::open(*path, {});
  ASSERT_OK(program);
  const auto decode = method_cost(*program, "forward"), prefill = method_cost(*program, "prefill");
  ASSERT_OK(decode);
  ASSERT_OK(prefill);
  const auto inspection = tools::inspect(*path);
  ASSERT_OK(inspection);
  uint64_t stored = 0;
  for (const tools::Package& package : inspection->packages) {
    for (const tools::FunctionSummary& function : package.functions) {
      if (function.function->name == "forward") stored += function.weights.bytes;
    }
  }
  constexpr uint64_t kEmbeddingRow = 128 + 2;  // int8 and a scale in fp16
  EXPECT_EQ(decode->weight_bytes, stored - 1023 * kEmbeddingRow);
  EXPECT_EQ(decode->multiply_adds, 6 * kLayerMultiplyAdds + kHeadMultiplyAdds);
  // Logits of the last token only.
  EXPECT_EQ(prefill->multiply_adds, kPrefillTokens * 6 * kLayerMultiplyAdds + kHeadMultiplyAdds);

  Options options = short_options(*path);
  options.depths = {10};
  options.threads = {1};
  Progress silent;
  const auto report = run(options, silent);
  ASSERT_OK(report);
  ASSERT_THAT(report->rows, SizeIs(2));
  EXPECT_DOUBLE_EQ(report->rows[0].work_per_token,
                   2.0 * static_cast<double>(prefill->multiply_adds) / kPrefillTokens);
  // 10, 11, 12 and 13 positions of 2 heads of 32 floats, keys and values, in 6 layers.
  EXPECT_DOUBLE_EQ(report->rows[1].work_per_token,
                   static_cast<double>(decode->weight_bytes) + 11.5 * 2 * 6 * 2 * 32 * 4);
}

// Cancels after so many repetitions.
class Impatient : public Progress {
 public:
  explicit Impatient(uint64_t repetitions) : left_(repetitions) {}
  void advance(uint64_t done) override { left_ -= std::min(left_, done); }
  bool cancelled() const override { return left_ == 0; }

 private:
  uint64_t left_;
};

TEST(Run, KeepsWhatIsDoneWhenInterrupted) {
  const auto path = export_demo(true);
  ASSERT_OK(path);
  Options options = short_options(*path);
  options.depths = {0};
  Impatient third(3);
  const auto report = run(options, third);
  ASSERT_OK(report);
  EXPECT_TRUE(report->interrupted);
  ASSERT_THAT(report->rows, SizeIs(2));
  EXPECT_THAT(report->rows[0].samples, SizeIs(2));
  EXPECT_THAT(report->rows[1].samples, SizeIs(1));
  Impatient none(0);
  const auto nothing = run(options, none);
  ASSERT_OK(nothing);
  EXPECT_TRUE(nothing->interrupted);
  EXPECT_THAT(nothing->rows, SizeIs(0));
}

TEST(Run, RefusesNothingToDo) {
  Options options;
  options.models = {"none.pte"};
  options.prompts = options.generations = {0};
  Progress silent;
  const auto report = run(options, silent);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().to_string(), "nothing to measure: all lengths are 0");
}

}  // namespace
}  // namespace diptych::measure
