// Models whose layers have windows, against the same models run over the whole text at once,
// without a cache: at every position, in chunks of any size, after rewinds.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "exporter/export.h"
#include "exporter/source.h"
#include "exporter/staged_model.h"
#include "generate/session.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych::exporter {
namespace {

constexpr int64_t kWindowContext = 96, kWindowVocab = 96;

struct WindowCase {
  const char* name;
  const char* window;  // of the synth's shape
};

constexpr WindowCase kWindowCases[] = {
    {"short", "window=5,full_layers=1"},
    {"all", "window=20"},
    {"as_long_as_the_chunk", "window=16,full_layers=2"},
    // As long as what the full layers' caches hold in the file with one method.
    {"cache", "window=80,full_layers=1"},
};

class Windows : public ::testing::TestWithParam<WindowCase> {
 protected:
  void SetUp() override {
    tools::SynthOptions synth;
    synth.shape = fmt::format("dim=32,layers=4,heads=4,kv_heads=2,hidden=64,vocab={},{}",
                              kWindowVocab, GetParam().window);
    synth.directory = testing::temporary_directory() + "/windows_" + GetParam().name;
    synth.force = true;
    ThreadPool pool(1);
    const auto made = tools::synth(synth, pool, silent_);
    ASSERT_OK(made);
    checkpoint_ = made->checkpoint;
    params_ = made->params;
    for (int64_t& token : tokens_) token = static_cast<int64_t>(random_() % kWindowVocab);
    const auto logits = without_cache();
    ASSERT_OK(logits);
    expected_ = *logits;
  }

  // [kWindowContext, kWindowVocab]
  Result<std::vector<float>> without_cache() {
    const Model model = TRY(open_model(checkpoint_, params_));
    const llama::Params params = llama::for_context(model.params, kWindowContext);
    const auto weights = TRY(llama::prepare(params, model.weights, DType::F32));
    ThreadPool pool(1);
    StagedModel staged = TRY(StagedModel::create(params, weights, {tokens_}, pool));
    return TRY(logits_of(staged, silent_)).front();
  }

  Result<std::unique_ptr<generate::Session>> session(bool multifunction) {
    Options options;
    options.max_context_len = kWindowContext;
    options.input_len = 16;
    options.dtype = DType::F32;
    options.linear = options.embedding = std::nullopt;
    options.multifunction = multifunction;
    const std::string path = fmt::format("{}_{}.pte", checkpoint_, multifunction);
    TRY(export_files(checkpoint_, params_, path, options, silent_));
    runtime::Options run;
    run.numerics = engine::Numerics::Precise;
    return generate::Session::create(TRY(runtime::Program::open(path, run)));
  }

  void expect_logits(std::span<const float> found, size_t position) {
    ASSERT_EQ(found.size(), static_cast<size_t>(kWindowVocab));
    const auto expected = std::span(expected_).subspan(position * kWindowVocab, kWindowVocab);
    for (size_t v = 0; v < found.size(); ++v) {
      ASSERT_NEAR(found[v], expected[v], 1e-3) << "position " << position << ", entry " << v;
    }
  }

  Progress silent_;
  std::mt19937 random_{9};
  std::string checkpoint_, params_;
  std::vector<int64_t> tokens_ = std::vector<int64_t>(kWindowContext);
  std::vector<float> expected_;
};

TEST_P(Windows, AreExactAtEveryPosition) {
  for (const bool multifunction : {false, true}) {
    const auto made = session(multifunction);
    ASSERT_OK(made);
    generate::Session& session = **made;
    ASSERT_OK(session.evaluate_each(tokens_, [&](size_t index, std::span<const float> logits) {
      expect_logits(logits, index);
      return HasFatalFailure() ? fail(ErrorCode::Internal, "stopped") : Status();
    }));
  }
}

TEST_P(Windows, AreExactInChunksAndAfterRewinds) {
  for (const bool multifunction : {false, true}) {
    const auto made = session(multifunction);
    ASSERT_OK(made);
    generate::Session& session = **made;
    for (int step = 0; step < 60; ++step) {
      auto at = static_cast<size_t>(session.position());
      if (at == tokens_.size() || random_() % 3 == 0) {
        // Most go back a little, some far.
        const size_t most = random_() % 4 == 0 ? at : std::min<size_t>(at, 8);
        at -= random_() % (most + 1);
        session.rewind(static_cast<int64_t>(at));
      }
      if (at == tokens_.size()) continue;
      const size_t count = 1 + random_() % std::min<size_t>(tokens_.size() - at, 40);
      const auto logits = session.evaluate(std::span(tokens_).subspan(at, count));
      ASSERT_OK(logits);
      ASSERT_NO_FATAL_FAILURE(expect_logits(*logits, at + count - 1)) << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Windows, ::testing::ValuesIn(kWindowCases),
                         [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace diptych::exporter
