#include "generate/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "generate/lookahead.h"

namespace diptych::generate {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 3.0f, -INFINITY, 2.0f};

TEST(Argmax, LowestIndexWinsAndNanNever) {
  EXPECT_EQ(argmax(kLogits), 1);
  EXPECT_EQ(argmax(std::vector<float>{NAN, 1.0f, NAN, 2.0f}), 3);
  EXPECT_EQ(argmax(std::vector<float>{-INFINITY, -INFINITY}), 0);
}

TEST(Sampler, ZeroTemperatureIsGreedy) {
  Sampler sampler({});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sampler.sample(kLogits), 1);
}

std::map<int64_t, int> counts(const SamplerOptions& options, int draws) {
  Sampler sampler(options);
  std::map<int64_t, int> seen;
  for (int i = 0; i < draws; ++i) ++seen[sampler.sample(kLogits)];
  return seen;
}

TEST(Sampler, FollowsTheDistribution) {
  SamplerOptions options;
  options.temperature = 1;
  const int draws = 20000;
  auto seen = counts(options, draws);
  double total = 0;
  for (const float logit : kLogits) total += std::exp(static_cast<double>(logit));
  for (size_t i = 0; i < kLogits.size(); ++i) {
    const double expected = std::exp(static_cast<double>(kLogits[i])) / total;
    EXPECT_NEAR(seen[static_cast<int64_t>(i)] / static_cast<double>(draws), expected, 0.015) << i;
  }
  EXPECT_EQ(seen.count(3), 1u);  // made by the loop above: hidden tokens are never drawn
  EXPECT_EQ(seen[3], 0);
}

TEST(Sampler, TopKAndTopPKeepTheLikeliest) {
  SamplerOptions options;
  options.temperature = 5;
  options.top_k = 2;
  for (const auto& [id, n] : counts(options, 500)) EXPECT_TRUE(id == 1 || id == 2) << id;
  options = {};
  options.temperature = 1;
  options.top_p = 0.3;  // one of the two equal tokens alone reaches it
  for (const auto& [id, n] : counts(options, 500)) EXPECT_EQ(id, 1);
}

TEST(Sampler, SameSeedSameTokens) {
  SamplerOptions options;
  options.temperature = 1;
  options.seed = 42;
  Sampler a(options), b(options);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.sample(kLogits), b.sample(kLogits));
}

TEST(Lookahead, RefusesWhatDoesNotFit) {
  FunctionDescription function;
  function.method = "forward";
  function.tokens = 32;
  function.full_logits = true;
  EXPECT_TRUE(Lookahead::create({5, 4, 4}, function, 0));
  EXPECT_TRUE(Lookahead::create({5, 4, 4}, function, 0)->positions_needed() >= 5);
  function.tokens = 31;
  EXPECT_NE(Lookahead::create({5, 4, 4}, function, 0).error().message.find("needs 32 rows"),
            std::string::npos);
  EXPECT_FALSE(Lookahead::create({1, 4, 4}, function, 0));
  EXPECT_FALSE(Lookahead::create({5, 0, 4}, function, 0));
  function.tokens = 32;
  function.full_logits = false;
  EXPECT_FALSE(Lookahead::create({5, 4, 4}, function, 0));
}

}  // namespace
}  // namespace diptych::generate
