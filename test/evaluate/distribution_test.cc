// The mathematics of an evaluation, by examples worked out by hand.
#include "evaluate/distribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace diptych::evaluate {
namespace {

constexpr float kInfinity = INFINITY;
const std::vector<float> kUniform(1000, 0.5F);

TEST(LogSumExp, NeitherOverflowsNorLosesTheSmall) {
  EXPECT_DOUBLE_EQ(log_sum_exp(std::vector<float>{0, 0}), std::log(2));
  EXPECT_DOUBLE_EQ(log_sum_exp(std::vector<float>{3000, 3000}), 3000 + std::log(2));
  EXPECT_DOUBLE_EQ(log_sum_exp(std::vector<float>{-3000, -3000}), -3000 + std::log(2));
  EXPECT_DOUBLE_EQ(log_sum_exp(std::vector<float>{7, -kInfinity}), 7);
}

TEST(LogSumExp, OfNoDistributionIsNan) {
  for (const std::vector<float>& logits :
       {std::vector<float>{NAN, 1}, {1, NAN}, {kInfinity, 1}, {-kInfinity, -kInfinity}}) {
    EXPECT_TRUE(std::isnan(log_sum_exp(logits)));
  }
}

TEST(NegativeLogLikelihood, OfUniformLogitsGivesTheVocabularyAsPerplexity) {
  EXPECT_NEAR(std::exp(negative_log_likelihood(kUniform, 17)), 1000, 1e-9);
}

TEST(NegativeLogLikelihood, OfAnExcludedTokenIsInfinite) {
  EXPECT_EQ(negative_log_likelihood(std::vector<float>{0, -kInfinity}, 1), kInfinity);
}

TEST(Diverge, EqualDistributionsDoNot) {
  const std::vector<float> logits = {1.5F, -2, 0.25F, -kInfinity};
  const Divergence same = diverge(logits, logits);
  EXPECT_EQ(same.kl, 0);
  EXPECT_TRUE(same.same_top1);
  EXPECT_EQ(same.max_difference, 0);
  EXPECT_EQ(same.sum_of_differences, 0);
  // A constant added to all logits changes them, but not the distribution.
  const Divergence shifted = diverge(std::vector<float>{1, 2, 3}, std::vector<float>{5, 6, 7});
  EXPECT_NEAR(shifted.kl, 0, 1e-15);
  EXPECT_GE(shifted.kl, 0);
  EXPECT_TRUE(shifted.same_top1);
  EXPECT_EQ(shifted.max_difference, 4);
  EXPECT_EQ(shifted.sum_of_differences, 12);
}

// p = (3/4, 1/4), q = (1/4, 3/4): KL = 3/4 log 3 + 1/4 log 1/3 = log(3) / 2.
TEST(Diverge, TwoClasses) {
  const auto log3 = static_cast<float>(std::log(3));
  const Divergence swapped = diverge(std::vector<float>{log3, 0}, std::vector<float>{0, log3});
  EXPECT_NEAR(swapped.kl, std::log(3) / 2, 1e-7);  // log3 is rounded to fp32
  EXPECT_FALSE(swapped.same_top1);
  EXPECT_EQ(swapped.max_difference, log3);
  EXPECT_EQ(swapped.sum_of_differences, 2.0 * log3);
}

// p = (1/2, 1/2), q = (3/4, 1/4): KL = 1/2 log(2/3) + 1/2 log(2); with p and q exchanged another.
TEST(Diverge, TheReferenceComesFirst) {
  const std::vector<float> even = {0, 0}, uneven = {static_cast<float>(std::log(3)), 0};
  EXPECT_NEAR(diverge(even, uneven).kl, std::log(2) - std::log(3) / 2, 1e-7);
  EXPECT_NEAR(diverge(uneven, even).kl, 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-7);
}

TEST(Diverge, WhatTheReferenceExcludesDoesNotCount) {
  const std::vector<float> one = {0, -kInfinity}, two = {0, 0};
  EXPECT_NEAR(diverge(one, two).kl, std::log(2), 1e-15);
  EXPECT_EQ(diverge(two, one).kl, kInfinity);
}

}  // namespace
}  // namespace diptych::evaluate
