// The demo model, measured for a moment.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/json.h"
#include "exporter/export.h"
#include "generate/method_cost.h"
#include "generate/session.h"
#include "measure/limits.h"
#include "measure/measure.h"
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
// but one and what the engine drops.
TEST(Run, CountsTheWorkOfATest) {
  const auto path = export_demo(true);
  ASSERT_OK(path);
  const auto program = runtime::Program::open(*path, {});
  ASSERT_OK(program);
  const auto description = generate::describe(**program);
  ASSERT_OK(description);
  const auto decode = generate::method_cost(**program, description->decode()),
             prefill = generate::method_cost(**program, description->prefill());
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
  // Biases of zeros, one of each width, are stored but not read.
  constexpr uint64_t kZeroBiases = 2 * (64 + 128 + 384 + 1024);
  EXPECT_EQ(decode->weight_bytes, stored - 1023 * kEmbeddingRow - kZeroBiases);
  // Precise numerics compute in fp32, the head once for a call.
  EXPECT_EQ(decode->per_token.fp32 + decode->per_call.fp32,
            6 * kLayerMultiplyAdds + kHeadMultiplyAdds);
  EXPECT_EQ(kernels::sum(decode->per_token) + kernels::sum(decode->per_call),
            6 * kLayerMultiplyAdds + kHeadMultiplyAdds);
  // Logits of the last token only.
  EXPECT_EQ(prefill->per_token.fp32, 6 * kLayerMultiplyAdds);
  EXPECT_EQ(prefill->per_call.fp32, kHeadMultiplyAdds);
  const auto without_logits = generate::method_cost(**program, description->prefill(), false);
  ASSERT_OK(without_logits);
  EXPECT_EQ(without_logits->per_token.fp32, prefill->per_token.fp32);
  EXPECT_EQ(kernels::sum(without_logits->per_call), 0U);
  EXPECT_LT(without_logits->weight_bytes, prefill->weight_bytes);

  Options options = short_options(*path);
  options.depths = {10};
  options.threads = {1};
  Progress silent;
  const auto report = run(options, silent);
  ASSERT_OK(report);
  ASSERT_THAT(report->rows, SizeIs(2));
  // 24 tokens in two calls, of which the last one makes logits; 10 positions cached before the one,
  // 26 before the other, each of 2 heads of 32 floats, keys and values, in 6 layers.
  constexpr double kPosition = 2 * 6 * 2 * 32 * 4;
  EXPECT_DOUBLE_EQ(report->rows[0].operations_per_token,
                   2.0 * (6 * kLayerMultiplyAdds + kHeadMultiplyAdds / 24.0));
  EXPECT_DOUBLE_EQ(
      report->rows[0].bytes_per_token,
      (static_cast<double>(without_logits->weight_bytes + prefill->weight_bytes) + 36 * kPosition) /
          24);
  EXPECT_EQ(report->rows[0].limit_is, kFmaLimit);
  // 10, 11, 12 and 13 positions.
  EXPECT_DOUBLE_EQ(report->rows[1].bytes_per_token,
                   static_cast<double>(decode->weight_bytes) + 11.5 * kPosition);
  EXPECT_DOUBLE_EQ(report->rows[1].operations_per_token,
                   2.0 * (6 * kLayerMultiplyAdds + kHeadMultiplyAdds));
  EXPECT_EQ(report->rows[1].limit_is, kMemoryReadLimit);
}

// In fast numerics the demo's weights of 4 bits meet activations of 8, in each of its partitions.
TEST(Run, TellsTheArithmeticOfFastNumerics) {
  const auto path = export_demo(true);
  ASSERT_OK(path);
  runtime::Options options;
  options.numerics = engine::Numerics::Fast;
  const auto program = runtime::Program::open(*path, options);
  ASSERT_OK(program);
  const auto description = generate::describe(**program);
  ASSERT_OK(description);
  const auto prefill = generate::method_cost(**program, description->prefill());
  ASSERT_OK(prefill);
  EXPECT_EQ(prefill->per_token.int4, 6 * kLayerMultiplyAdds);
  EXPECT_EQ(kernels::sum(prefill->per_token), prefill->per_token.int4);
  EXPECT_EQ(prefill->per_call.int4, kHeadMultiplyAdds);
  EXPECT_EQ(kernels::sum(prefill->per_call), prefill->per_call.int4);
}

// The limit of integer weights is that of what computes with them.
TEST(Run, ComparesFastPrefillWithDotProducts) {
  const auto path = export_demo(true);
  ASSERT_OK(path);
  Options options = short_options(*path);
  options.depths = {0};
  options.threads = {1};
  options.generations = {0};
  options.numerics = engine::Numerics::Fast;
  Progress silent;
  const auto report = run(options, silent);
  ASSERT_OK(report);
  ASSERT_THAT(report->rows, SizeIs(1));
  const kernels::Isa isa = kernels::selected_isa();
  EXPECT_EQ(report->rows[0].limit_is,
            isa == kernels::Isa::Scalar
                ? std::string(kFmaLimit)
                : fmt::format("{} of {}", kIntegerLimit, kernels::name(isa)));
  EXPECT_GT(report->rows[0].limit, 1e8);
}

TEST(Run, ProfilesWhereTheTimeGoes) {
  const auto path = export_demo(true);
  ASSERT_OK(path);
  Options options = short_options(*path);
  options.depths = {0};
  options.threads = {2};
  options.profile = true;
  Progress silent;
  const auto report = run(options, silent);
  ASSERT_OK(report);
  ASSERT_THAT(report->rows, SizeIs(2));
  for (const Row& row : report->rows) {
    ASSERT_TRUE(row.profile);
    const Profile& profile = *row.profile;
    EXPECT_EQ(profile.tokens, row.test.tokens);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    // Which functions take a prompt is chosen by what they took before, which may be anything here.
    if (!row.test.is_decode() && profile.lines.front().function != "prefill") {
      GTEST_SKIP() << "under a sanitizer decoding seemed the faster way through the prompt";
    }
#endif
    const uint64_t calls = row.test.is_decode() ? 4 : 2;
    const uint64_t heads = row.test.is_decode() ? 4 : 1;  // a prompt's last call only
    double seconds = 0;
    uint64_t multiply_adds = 0;
    for (const ProfileLine& line : profile.lines) {
      EXPECT_EQ(line.function, row.test.is_decode() ? "forward" : "prefill");
      EXPECT_GE(line.calls, line.layer >= 0 ? calls : heads);
      seconds += line.seconds;
      multiply_adds += line.multiply_adds;
    }
    EXPECT_LE(seconds, profile.seconds);
    EXPECT_GE(profile.seconds_outside(), 0);
    EXPECT_EQ(multiply_adds,
              calls * (row.test.is_decode() ? 1 : kPrefillTokens) * 6 * kLayerMultiplyAdds +
                  heads * kHeadMultiplyAdds);
    // None, and each of the six layers.
    EXPECT_THAT(by_layer(profile), SizeIs(7));
    const auto ops = by_op(profile);
    const auto linears = std::find_if(
        ops.begin(), ops.end(), [](const ProfileLine& line) { return line.op == "cpu.linear"; });
    ASSERT_NE(linears, ops.end());
    EXPECT_EQ(linears->calls, calls * 6 * 4 + heads);  // q, k and v as one, gate and up too
  }
  const auto trace = parse_json(report->trace.json());
  ASSERT_OK(trace);
  size_t spans = 0, tracks = 0;
  for (const Json& event : (*trace)["traceEvents"]) {
    if (event["ph"] == "M") ++tracks;
    if (event["ph"] == "X" && event["name"] == "cpu.linear") ++spans;
  }
  EXPECT_EQ(tracks, 2U);
  EXPECT_EQ(spans, (2U + 4U) * 24U + (1U + 4U));
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
