// What fast numerics promise (docs/engine.md): over 2,000 positions of text that a model has not
// seen they choose the token that precise ones do for at least 98 % of the positions, at a mean KL
// divergence of at most 1e-3 nats.
#include <gtest/gtest.h>

#include "evaluate/evaluate.h"
#include "exporter/export.h"
#include "generate/sampler.h"
#include "stories.h"
#include "testing/shared_data.h"

namespace diptych::evaluate {
namespace {

constexpr int64_t kQualityPositions = 2000;
constexpr double kLeastAgreement = 0.98, kMostKl = 1e-3;

Result<std::unique_ptr<generate::Session>> open_session(const std::string& path,
                                                        engine::Numerics numerics) {
  runtime::Options options;
  options.numerics = numerics;
  options.threads = 2;
  return generate::Session::create(TRY(runtime::Program::open(path, options)));
}

void expect_quality(const std::string& path, std::span<const Window> windows) {
  auto fast = open_session(path, engine::Numerics::Fast),
       precise = open_session(path, engine::Numerics::Precise);
  ASSERT_OK(fast);
  ASSERT_OK(precise);
  Progress silent;
  const auto evaluation = evaluate(**fast, precise->get(), windows, silent);
  ASSERT_OK(evaluation);
  EXPECT_GE(evaluation->positions, kQualityPositions);
  EXPECT_GE(evaluation->comparison->top1_agreement, kLeastAgreement);
  EXPECT_LE(evaluation->comparison->mean_kl, kMostKl);
  // The two do differ, or nothing was compared.
  EXPECT_GT(evaluation->comparison->max_logit_difference, 0);
  fmt::print("{}: top-1 {:.2f} %, KL {:.2g}\n", path, 100 * evaluation->comparison->top1_agreement,
             evaluation->comparison->mean_kl);
}

class DemoQuality : public ::testing::TestWithParam<const char*> {};

TEST_P(DemoQuality, OfFastNumerics) {
  exporter::Options options;
  options.max_context_len = 512;
  options.input_len = 32;
  options.multifunction = true;
  options.linear = exporter::linear_from_text(GetParam()).value();
  const std::string path = testing::temporary_directory() + "/demo.pte";
  Progress silent;
  ASSERT_OK(exporter::export_files(testing::source_path("demo/model.pth"),
                                   testing::source_path("demo/params.json"), path, options,
                                   silent));
  const auto windows = held_out_stories(kQualityPositions);
  ASSERT_OK(windows);
  expect_quality(path, *windows);
}

INSTANTIATE_TEST_SUITE_P(Formats, DemoQuality, ::testing::Values("c4w", "b4w", "none"));

// What the unquantised stories model tells when it is sampled, at temperature 1.
Result<std::vector<Window>> told_stories() {
  constexpr int64_t kBos = 1, kTokens = 200;
  const auto teller = TRY(open_session(testing::shared_data("golden/pte/st_multi_fp32_none.pte"),
                                       engine::Numerics::Precise));
  std::vector<Window> windows;
  for (uint64_t seed = 0; seed < static_cast<uint64_t>(kQualityPositions / kTokens); ++seed) {
    generate::SamplerOptions options;
    options.temperature = 1;
    options.seed = seed;
    generate::Sampler sampler(options);
    teller->rewind(0);
    std::vector<int64_t> ids;
    int64_t token = kBos;
    while (static_cast<int64_t>(ids.size()) < kTokens) {
      token = TRY(sampler.sample(TRY(teller->evaluate(std::span(&token, 1)))));
      ids.push_back(token);
    }
    for (Window& window : make_windows(ids, std::vector<int64_t>{kBos}, kTokens))
      windows.push_back(std::move(window));
  }
  return windows;
}

class StoriesQuality : public ::testing::TestWithParam<const char*> {};

TEST_P(StoriesQuality, OfFastNumerics) {
  const std::string file = std::string("golden/pte/") + GetParam() + ".pte";
  DIPTYCH_SKIP_WITHOUT_SHARED(file);
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte/st_multi_fp32_none.pte");
  const auto windows = told_stories();
  ASSERT_OK(windows);
  expect_quality(testing::shared_data(file), *windows);
}

INSTANTIATE_TEST_SUITE_P(Files, StoriesQuality,
                         ::testing::Values("st_multi_fp16_c4w_e80", "st_multi_fp16_c4w_e432",
                                           "st_single_fp16_c4w_e80",
                                           "st_multi_fp16_c4w_e80_split32m4"));

}  // namespace
}  // namespace diptych::evaluate
