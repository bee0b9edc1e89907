#include "generate/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "generate/lookahead.h"

namespace diptych::generate {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 3.0f, -INFINITY, 2.0f};

TEST(Argmax, LowestIndexWinsAndNanNever) {
  EXPECT_EQ(argmax(kLogits), 1);
  EXPECT_EQ(argmax(std::vector<float>{NAN, 1.0f, NAN, 2.0f}), 3);
  EXPECT_EQ(argmax(std::vector<float>{-INFINITY, -INFINITY}), 0);
}

TEST(Sampler, NeverGivesABannedToken) {
  SamplerOptions all;
  for (int64_t token = 0; token < std::ssize(kLogits); ++token) all.logit_bias[token] = -INFINITY;
  for (const double temperature : {0.0, 1.0}) {
    SamplerOptions options = all;
    options.temperature = temperature;
    const auto none = Sampler(options).sample(kLogits);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message.find("no token is left"), 0u) << none.error().message;
    // Whatever narrows the choice leaves the one that is not banned.
    options.logit_bias.erase(0);
    options.top_k = 1;
    options.top_p = 0;
    options.min_p = 1;
    options.repetition_penalty = 1e6;
    options.frequency_penalty = 1e6;
    EXPECT_EQ(Sampler(options).sample(kLogits, std::vector<int64_t>{0, 0}), 0);
    options = {};
    options.temperature = temperature;
    EXPECT_FALSE(Sampler(options).sample(std::vector<float>{NAN, -INFINITY, NAN}));
    EXPECT_EQ(Sampler(options).sample(std::vector<float>{NAN, -INFINITY, -1e38f}), 2);
    options.logit_bias = {{1, -INFINITY}};  // an infinite logit and a ban make NaN
    EXPECT_FALSE(Sampler(options).sample(std::vector<float>{NAN, INFINITY}));
  }
}

TEST(Sampler, ZeroTemperatureIsGreedy) {
  Sampler sampler({});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sampler.sample(kLogits), 1);
}

std::map<int64_t, int> counts(const SamplerOptions& options, int draws) {
  Sampler sampler(options);
  std::map<int64_t, int> seen;
  for (int i = 0; i < draws; ++i) ++seen[sampler.sample(kLogits).value()];
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
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.sample(kLogits).value(), b.sample(kLogits).value());
}

TEST(Sampler, MinPKeepsTokensNearTheLikeliest) {
  SamplerOptions options;
  options.temperature = 1;
  options.min_p = 0.3;  // exp(2 - 3) = 0.37 of the likeliest, exp(1 - 3) = 0.14
  std::set<int64_t> seen;
  for (const auto& [id, n] : counts(options, 500)) seen.insert(id);
  EXPECT_EQ(seen, (std::set<int64_t>{1, 2, 4}));
  options.temperature = 4;  // exp(-2 / 4) = 0.61
  EXPECT_EQ(counts(options, 500).size(), 4u);
}

TEST(Sampler, TopPCountsWhatTopKKept) {
  // Of the two likeliest, with half of the probability each, one reaches 0.5; of all, two would
  // not.
  SamplerOptions options;
  options.temperature = 1;
  options.top_k = 2;
  options.top_p = 0.5;
  for (const auto& [id, n] : counts(options, 500)) EXPECT_EQ(id, 1);
  options.top_k = 0;
  EXPECT_EQ(counts(options, 500).size(), 2u);
}

// The generator is mt19937_64, whose numbers the C++ standard gives; seed 5489 has
// 14514284786278117030 for its first: 0.7868 of the way. With weights 1/4 each that is token 3.
TEST(Sampler, DrawsByTheStandardsGenerator) {
  const std::vector<float> equal(4, 0.0f);
  SamplerOptions options;
  options.temperature = 1;
  options.seed = 5489;
  EXPECT_EQ(Sampler(options).sample(equal), 3);
  // The second is 4620546740167642908: 0.2505 of the way.
  Sampler sampler(options);
  (void)sampler.sample(equal);
  EXPECT_EQ(sampler.sample(equal), 1);
}

// The logit of token 0, which is `logit`, after biases and penalties: where greedy decoding begins
// to prefer token 1, which never occurs.
double changed_logit(float logit, SamplerOptions options, const std::vector<int64_t>& context) {
  double low = -100, high = 100;
  while (high - low > 1e-5) {
    const double middle = (low + high) / 2;
    const std::vector<float> logits = {logit, static_cast<float>(middle)};
    (Sampler(options).sample(logits, context) == 0 ? low : high) = middle;
  }
  return low;
}

TEST(Sampler, PenaltiesAreThoseOfTheField) {
  SamplerOptions options;
  options.repetition_penalty = 1.25;
  EXPECT_NEAR(changed_logit(2, options, {0}), 1.6, 1e-4);        // 2 / 1.25
  EXPECT_NEAR(changed_logit(-2, options, {0}), -2.5, 1e-4);      // -2 * 1.25
  EXPECT_NEAR(changed_logit(2, options, {0, 0, 0}), 1.6, 1e-4);  // once, however often it occurs
  EXPECT_NEAR(changed_logit(2, options, {}), 2, 1e-4);

  options = {};
  options.presence_penalty = 0.5;
  EXPECT_NEAR(changed_logit(2, options, {0, 0, 0}), 1.5, 1e-4);
  options.frequency_penalty = 0.25;
  EXPECT_NEAR(changed_logit(2, options, {0, 0, 0}), 0.75, 1e-4);  // 2 - 0.5 - 3 * 0.25
  options.repetition_penalty = 2;
  EXPECT_NEAR(changed_logit(2, options, {0, 0, 0}), -0.25, 1e-4);  // 2 / 2 - 0.5 - 3 * 0.25
  options.logit_bias = {{0, 4.0}};
  EXPECT_NEAR(changed_logit(2, options, {0, 0, 0}), 1.75, 1e-4);  // (2 + 4) / 2 - 0.5 - 3 * 0.25
}

TEST(Sampler, PenaltiesLookAtTheLastTokens) {
  SamplerOptions options;
  options.frequency_penalty = 1;
  const std::vector<int64_t> context = {0, 0, 0, 2, 0, 2};
  const std::vector<std::pair<int64_t, double>> cases = {{-1, -4}, {0, 0},  {1, 0}, {2, -1},
                                                         {5, -3},  {6, -4}, {7, -4}};
  for (const auto& [last_n, change] : cases) {
    options.repeat_last_n = last_n;
    const auto sample = [&](float other) {
      return Sampler(options).sample(std::vector<float>{0, other, -50}, context);
    };
    EXPECT_EQ(sample(static_cast<float>(change) - 0.01f), 0) << last_n;
    EXPECT_EQ(sample(static_cast<float>(change) + 0.01f), 1) << last_n;
  }
}

TEST(Sampler, CountsAnewForEachToken) {
  SamplerOptions options;
  options.presence_penalty = 5;
  Sampler sampler(options);
  EXPECT_EQ(sampler.sample(kLogits, std::vector<int64_t>{1}), 2);
  EXPECT_EQ(sampler.sample(kLogits, std::vector<int64_t>{2}), 1);
  EXPECT_EQ(sampler.sample(kLogits, std::vector<int64_t>{1, 2}), 4);
}

TEST(Sampler, BiasBansAndForces) {
  SamplerOptions options;
  options.logit_bias = {{1, -INFINITY}, {2, -INFINITY}};
  EXPECT_EQ(Sampler(options).sample(kLogits), 4);
  options.temperature = 3;
  EXPECT_EQ(counts(options, 500).count(1), 0u);
  options.logit_bias = {{0, 100}};
  EXPECT_EQ(counts(options, 500).size(), 1u);
  EXPECT_FALSE(Sampler(options).plain());
  EXPECT_TRUE(Sampler({}).plain());
}

TEST(Sampler, RefusesWhatHasNoMeaning) {
  EXPECT_TRUE(check({}, 4));
  const auto message = [](const auto& change) {
    SamplerOptions options;
    change(options);
    const Status status = check(options, 4);
    return status ? std::string() : status.error().message;
  };
  using O = SamplerOptions;
  EXPECT_EQ(message([](O& o) { o.temperature = -1; }),
            "the temperature is -1, expected 0 to 1000000");
  EXPECT_EQ(message([](O& o) { o.temperature = NAN; }),
            "the temperature is nan, expected 0 to 1000000");
  EXPECT_EQ(message([](O& o) { o.top_p = 1.5; }), "top-p is 1.5, expected 0 to 1");
  EXPECT_EQ(message([](O& o) { o.min_p = -0.5; }), "min-p is -0.5, expected 0 to 1");
  EXPECT_EQ(message([](O& o) { o.top_k = -1; }), "top-k is -1, expected 0 or more");
  EXPECT_NE(message([](O& o) { o.repetition_penalty = 0; }), "");
  EXPECT_NE(message([](O& o) { o.presence_penalty = INFINITY; }), "");
  EXPECT_NE(message([](O& o) { o.frequency_penalty = NAN; }), "");
  EXPECT_NE(message([](O& o) { o.repeat_last_n = -2; }), "");
  EXPECT_EQ(message([](O& o) {
              o.logit_bias = {{4, 1}};
            }),
            "logit bias of token 4: outside the vocabulary, expected 0 to 3");
  EXPECT_NE(message([](O& o) { o.logit_bias = {{-1, 1}}; }), "");
  EXPECT_NE(message([](O& o) { o.logit_bias = {{1, INFINITY}}; }), "");
  EXPECT_EQ(message([](O& o) { o.logit_bias = {{1, -INFINITY}}; }), "");
}

TEST(Logprobs, AreOfTheModelsDistribution) {
  const TokenLogprobs found = logprobs(kLogits, 4, 3);
  const double sum = std::exp(1.0) + 2 * std::exp(3.0) + std::exp(2.0);
  EXPECT_NEAR(found.chosen, 2 - std::log(sum), 1e-12);
  ASSERT_EQ(found.best.size(), 3u);
  EXPECT_EQ(found.best[0].token, 1);
  EXPECT_EQ(found.best[1].token, 2);
  EXPECT_EQ(found.best[2].token, 4);
  EXPECT_NEAR(found.best[0].logprob, 3 - std::log(sum), 1e-12);
  EXPECT_TRUE(logprobs(kLogits, 0, 0).best.empty());
  EXPECT_EQ(logprobs(kLogits, 0, 99).best.size(), kLogits.size());
}

TEST(Lookahead, RefusesWhatDoesNotFit) {
  contract::Description model;
  model.functions.push_back({contract::method_of(contract::Role::Single, 32), {}});
  contract::Method& method = model.functions[0].method;
  EXPECT_TRUE(Lookahead::create({5, 4, 4}, model, 0));
  EXPECT_TRUE(Lookahead::create({5, 4, 4}, model, 0)->positions_needed() >= 5);
  method.tokens = 31;
  EXPECT_NE(Lookahead::create({5, 4, 4}, model, 0).error().message.find("needs 32 rows"),
            std::string::npos);
  EXPECT_FALSE(Lookahead::create({1, 4, 4}, model, 0));
  EXPECT_FALSE(Lookahead::create({5, 0, 4}, model, 0));
  method.tokens = 32;
  method.all_logits = false;
  EXPECT_FALSE(Lookahead::create({5, 4, 4}, model, 0));
}

}  // namespace
}  // namespace diptych::generate
