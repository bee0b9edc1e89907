// Exports of ours, run by our engine, against upstream's eager model and against each other.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "export_models.h"
#include "generate/generator.h"
#include "golden_models.h"
#include "pte/reader.h"
#include "testing/shared_data.h"
#include "tools/inspect.h"

namespace diptych {
namespace {

using testing::GoldenModel;

class OurExport : public ::testing::TestWithParam<GoldenModel> {};

TEST_P(OurExport, AgreesWithTheEagerModel) {
  const GoldenModel& golden = GetParam();
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/models/" + golden.model);
  const auto path =
      testing::export_like(golden, testing::export_options(golden).value(), golden.pte);
  ASSERT_OK(path);
  for (const auto numerics : {engine::Numerics::Precise, engine::Numerics::Typed}) {
    const bool precise = numerics == engine::Numerics::Precise;
    const auto agreement =
        testing::compare_with_eager(*path, golden, numerics, precise ? "c32" : "c16");
    ASSERT_OK(agreement);
    fmt::print("ours {:<34} {:<8} max {:.5f} mean {:.6f} top-1 {:.1f} % greedy {}/{}\n", golden.pte,
               engine::name(numerics), agreement->max_difference, agreement->mean_difference,
               100 * agreement->top1, agreement->greedy_equal, agreement->greedy_expected);
    EXPECT_LE(agreement->max_difference, golden.fp32 ? 1e-3 : precise ? 5e-3 : 0.1);
    EXPECT_GE(agreement->top1, 0.98);
    EXPECT_EQ(agreement->greedy_equal, agreement->greedy_expected);
  }
}

// The golden files, and what upstream cannot export: q/k norm in fp16, split and quantised biases.
std::vector<GoldenModel> exported_models() {
  std::vector<GoldenModel> models;
  for (const GoldenModel& golden : testing::golden_models()) {
    if (!golden.variant.empty()) models.push_back(golden);
  }
  GoldenModel qk_norm;
  qk_norm.pte = "qkn_multi_fp16_c4w_e80";
  qk_norm.model = "qknorm";
  qk_norm.variant = "c4w_e80";
  models.push_back(qk_norm);
  qk_norm.pte = "qkn_single_fp16_c4w_e80";
  qk_norm.multifunction = false;
  models.push_back(qk_norm);
  GoldenModel bias;
  bias.pte = "bias_multi_fp16_c4w_e80_split32";
  bias.model = "bias_static";
  bias.variant = "c4w_e80";
  bias.target_split = 32;
  bias.max_splits = 4;
  models.push_back(bias);
  return models;
}

INSTANTIATE_TEST_SUITE_P(Golden, OurExport, ::testing::ValuesIn(exported_models()),
                         [](const auto& test) { return test.param.pte; });

// --- With the bundled demo model: no reference data needed. ---

const std::vector<int64_t> kPrompt = {1, 300, 41, 77, 500, 12, 9, 260, 33, 480, 99, 5};

Result<std::string> export_demo(const exporter::Options& options, const std::string& name) {
  const std::string path = testing::temporary_directory() + "/" + name + ".pte";
  Progress silent;
  TRY(exporter::export_files(testing::source_path("demo/model.pth"),
                             testing::source_path("demo/params.json"), path, options, silent));
  return path;
}

exporter::Options demo_options(bool multifunction) {
  exporter::Options options;
  options.max_context_len = 64;
  options.input_len = 32;
  options.multifunction = multifunction;
  return options;
}

Result<generate::Generation> run(const std::string& path, int64_t tokens, bool lookahead,
                                 int threads = 2,
                                 engine::Numerics numerics = engine::Numerics::Precise) {
  auto session =
      TRY(generate::Session::create(TRY(runtime::Program::open(path, {numerics, threads}))));
  generate::GenerateOptions options;
  options.max_tokens = tokens;
  if (lookahead) options.lookahead = generate::LookaheadOptions{};
  options.adapt = false;
  return generate::generate(*session, kPrompt, options,
                            [](const generate::Token&) { return true; });
}

// In every numerics: a row's result does not depend on its company, nor on the number of threads.
TEST(Demo, OneTextFromLookaheadAndAnyNumberOfThreads) {
  const auto single = export_demo(demo_options(false), "single");
  ASSERT_OK(single);
  for (const auto numerics :
       {engine::Numerics::Fast, engine::Numerics::Precise, engine::Numerics::Typed}) {
    SCOPED_TRACE(engine::name(numerics));
    const auto plain = run(*single, 200, false, 2, numerics);
    ASSERT_OK(plain);
    const auto ahead = run(*single, 200, true, 2, numerics);
    ASSERT_OK(ahead);
    EXPECT_EQ(ahead->tokens, plain->tokens);
    const auto one_thread = run(*single, 200, false, 1, numerics);
    ASSERT_OK(one_thread);
    EXPECT_EQ(one_thread->tokens, plain->tokens);
  }
}

TEST(Demo, OneTextFromSingleLookaheadAndMultifunction) {
  const auto single = export_demo(demo_options(false), "single");
  const auto multi = export_demo(demo_options(true), "multi");
  ASSERT_OK(single);
  ASSERT_OK(multi);
  const auto plain = run(*single, 200, false);
  ASSERT_OK(plain);
  // Every position is used: 12 of the prompt, and each generated token but the last is evaluated.
  EXPECT_EQ(plain->tokens.size(), 64 - kPrompt.size() + 1);
  EXPECT_EQ(plain->reason, generate::StopReason::ContextFull);
  const auto ahead = run(*single, 200, true);
  ASSERT_OK(ahead);
  EXPECT_EQ(ahead->tokens, plain->tokens);
  const auto multifunction = run(*multi, 200, false);
  ASSERT_OK(multifunction);
  EXPECT_EQ(multifunction->tokens, plain->tokens);
  const auto one_thread = run(*multi, 200, false, 1);
  ASSERT_OK(one_thread);
  EXPECT_EQ(one_thread->tokens, plain->tokens);
}

// Counts the runs of every function of a session.
class RunCounter : public engine::RunObserver {
 public:
  void on_step(const engine::Executable& executable, size_t index, Time, Time) override {
    if (index == 0) ++runs_[&executable];
  }
  std::vector<int> runs() const {
    std::vector<int> counts;
    for (const auto& [executable, count] : runs_) counts.push_back(count);
    std::sort(counts.begin(), counts.end());
    return counts;
  }

 private:
  std::map<const engine::Executable*, int> runs_;
};

// The head is a partition of its own: of a prompt's calls only the last one runs it.
TEST(Demo, LogitsThatNobodySeesAreNotComputed) {
  exporter::Options options = demo_options(true);
  options.input_len = 4;
  const auto path = export_demo(options, "prompt_in_parts");
  ASSERT_OK(path);
  const auto program = runtime::Program::open(*path, {engine::Numerics::Precise, 1});
  ASSERT_OK(program);
  const auto session = generate::Session::create(*program);
  ASSERT_OK(session);
  RunCounter counter;
  (*session)->observe(&counter);
  const auto together = (*session)->evaluate(kPrompt);
  ASSERT_OK(together);
  const std::vector<float> logits(together->begin(), together->end());
  EXPECT_EQ(counter.runs(), (std::vector<int>{1, 3, 3}));

  // The same as when the logits of every part are asked for.
  (*session)->rewind(0);
  std::span<const float> last;
  for (size_t i = 0; i < kPrompt.size(); i += 4) {
    const auto part = (*session)->evaluate(std::span(kPrompt).subspan(i, 4));
    ASSERT_OK(part);
    last = *part;
  }
  EXPECT_EQ(counter.runs(), (std::vector<int>{4, 6, 6}));
  EXPECT_TRUE(std::equal(last.begin(), last.end(), logits.begin(), logits.end()));
}

TEST(Demo, LookaheadSavesSteps) {
  exporter::Options options = demo_options(false);
  options.max_context_len = 256;
  const auto path = export_demo(options, "lookahead");
  ASSERT_OK(path);
  const auto plain = run(*path, 150, false);
  const auto ahead = run(*path, 150, true);
  ASSERT_OK(plain);
  ASSERT_OK(ahead);
  EXPECT_EQ(ahead->tokens, plain->tokens);
  EXPECT_LT(ahead->decode_steps, plain->decode_steps);
}

// A third method, which gives the logits after each of 16 tokens: it shares all weights with the
// other two, and lookahead in such a file finds the tokens of plain decoding in fewer steps.
TEST(Demo, AMethodThatVerifiesSharesWeightsAndServesLookahead) {
  exporter::Options options = demo_options(true);
  options.max_context_len = 256;
  const auto pair = export_demo(options, "pair");
  options.verify_len = 16;
  const auto three = export_demo(options, "three");
  ASSERT_OK(pair);
  ASSERT_OK(three);
  const auto weights = [](const std::string& path) {
    uint64_t bytes = 0;
    const tools::Inspection inspection = tools::inspect(path).value();
    for (const tools::Package& package : inspection.packages) bytes += package.weights.bytes;
    return bytes;
  };
  EXPECT_EQ(weights(*three), weights(*pair));
  const auto plain = run(*pair, 150, false);
  ASSERT_OK(plain);
  auto session = generate::Session::create(runtime::Program::open(*three, {}).value()).value();
  ASSERT_NE(session->model().verify(), nullptr);
  EXPECT_EQ(session->model().verify()->method.name, "verify");
  generate::GenerateOptions ahead;
  ahead.max_tokens = 150;
  ahead.lookahead = generate::LookaheadOptions{5, 2, 2};
  ahead.adapt = false;
  const auto found =
      generate::generate(*session, kPrompt, ahead, [](const generate::Token&) { return true; });
  ASSERT_OK(found);
  EXPECT_EQ(found->tokens, plain->tokens);
  EXPECT_LT(found->decode_steps, plain->decode_steps);
}

// 33 leaves a chunk of one token after the first of 32, 64 fills the context.
TEST(Demo, PromptsOfAnyLengthUpToTheContext) {
  for (const bool multifunction : {false, true}) {
    const auto path = export_demo(demo_options(multifunction), "full");
    ASSERT_OK(path);
    auto program = runtime::Program::open(*path, {});
    ASSERT_OK(program);
    std::vector<int64_t> prompt(64);
    for (size_t i = 0; i < prompt.size(); ++i)
      prompt[i] = static_cast<int64_t>((i * 37 + 3) % 1000);
    auto one_by_one = generate::Session::create(*program);
    ASSERT_OK(one_by_one);
    for (size_t position = 0; position < prompt.size(); ++position) {
      const auto expected = (*one_by_one)->evaluate(std::span(&prompt[position], 1));
      ASSERT_OK(expected);
      const size_t length = position + 1;
      if (length != 31 && length != 32 && length != 33 && length != 64) continue;
      auto at_once = generate::Session::create(*program);
      ASSERT_OK(at_once);
      const auto logits = (*at_once)->evaluate(std::span(prompt).first(length));
      ASSERT_OK(logits);
      for (size_t i = 0; i < logits->size(); ++i) {
        ASSERT_NEAR((*logits)[i], (*expected)[i], 2e-3) << length << " " << i;
      }
    }
    EXPECT_FALSE((*one_by_one)->evaluate(std::span(prompt).first(1)));
    prompt.push_back(1);
    auto fresh = generate::Session::create(*program);
    ASSERT_OK(fresh);
    EXPECT_FALSE((*fresh)->evaluate(prompt));
  }
}

TEST(Demo, SameInputSameBytes) {
  for (const bool multifunction : {false, true}) {
    const auto first = export_demo(demo_options(multifunction), "first");
    const auto second = export_demo(demo_options(multifunction), "second");
    ASSERT_OK(first);
    ASSERT_OK(second);
    EXPECT_EQ(read_text_file(*first).value(), read_text_file(*second).value());
  }
}

TEST(Demo, SharingStoresWeightsOnce) {
  exporter::Options options = demo_options(true);
  Progress silent;
  const auto report = [&]() {
    const std::string path = testing::temporary_directory() + "/sharing.pte";
    return exporter::export_files(testing::source_path("demo/model.pth"),
                                  testing::source_path("demo/params.json"), path, options, silent);
  };
  const auto positional = report();
  ASSERT_OK(positional);
  options.sharing = passes::WeightSharing::Disabled;
  const auto disabled = report();
  ASSERT_OK(disabled);
  EXPECT_EQ(positional->constant_bytes, disabled->constant_bytes);
  EXPECT_GT(positional->shared_bytes(), positional->unique_bytes * 9 / 10);
  EXPECT_LT(positional->file_bytes, disabled->file_bytes * 6 / 10);
}

// A file that lies at any address: nothing in it is read through a typed pointer.
TEST(Demo, RunsAtEveryAlignment) {
  const auto path = export_demo(demo_options(true), "shifted");
  ASSERT_OK(path);
  const auto file = MappedFile::open(*path);
  ASSERT_OK(file);
  const Bytes bytes = (*file)->bytes();
  std::vector<float> expected;
  for (size_t shift = 0; shift < 64; ++shift) {
    auto buffer = std::make_shared<std::vector<std::byte>>(bytes.size() + 64);
    std::copy(bytes.begin(), bytes.end(), buffer->begin() + static_cast<long>(shift));
    auto program = runtime::Program::from_bytes(Bytes(*buffer).subspan(shift, bytes.size()), buffer,
                                                "shifted.pte", {});
    ASSERT_OK(program);
    auto session = generate::Session::create(*program);
    ASSERT_OK(session);
    const auto logits = (*session)->evaluate(std::span(kPrompt).first(3));
    ASSERT_OK(logits);
    if (expected.empty()) expected.assign(logits->begin(), logits->end());
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), logits->begin())) << shift;
  }
}

}  // namespace
}  // namespace diptych
