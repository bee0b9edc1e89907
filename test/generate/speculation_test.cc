// Drafts change when tokens come, never which: token for token where nothing is drawn by the draft,
// in distribution where it draws. Over a model whose logits the test computes by itself.
#include "generate/speculation.h"

#include <gtest/gtest.h>

#include <random>

#include "generate/draft_model.h"
#include "generate/generator.h"
#include "generate/prompt_lookup.h"
#include "testing/shared_data.h"
#include "tiny_model.h"

namespace diptych::generate {
namespace {

using contract::method_of;
using contract::Role;

using Logits = std::vector<float>;

std::unique_ptr<Session> session_of(const std::vector<contract::Method>& methods) {
  const int64_t least = methods.front().tokens;
  return Session::create(tiny_program(methods, kTinyContext - least).value()).value();
}
std::unique_ptr<Session> ladder() {
  return session_of(
      {method_of(Role::Decode, 1), method_of(Role::Prefill, 8), method_of(Role::Verify, 5)});
}
std::unique_ptr<Session> single() { return session_of({method_of(Role::Single, 6)}); }

// Drafts tokens at random: from a distribution that it tells, or as if they were certain.
class RandomDrafter : public Drafter {
 public:
  explicit RandomDrafter(bool draws, uint64_t seed = 1) : draws_(draws), random_(seed) {}

  Status begin(std::span<const int64_t> context) override {
    context_.assign(context.begin(), context.end());
    return {};
  }
  Result<Draft> propose(std::span<const int64_t> context, int64_t most) override {
    // The context goes on from what was accepted.
    EXPECT_GE(context.size(), context_.size());
    EXPECT_TRUE(std::equal(context_.begin(), context_.end(), context.begin()));
    context_.assign(context.begin(), context.end());
    draft_ = {};
    SamplerOptions options;
    options.temperature = 1;
    options.seed = random_();
    Sampler sampler(options);
    for (int64_t i = 0; i < most; ++i) {
      Logits logits(kTinyVocab);
      for (float& logit : logits) logit = static_cast<float>(random_() % 400) / 100;
      Distribution from;
      draft_.tokens.push_back(sampler.sample(logits, {}, from).value());
      if (draws_) draft_.from.push_back(std::move(from));
    }
    return draft_;
  }
  void accept(size_t count) override {
    ASSERT_LE(count, draft_.tokens.size());
    context_.insert(context_.end(), draft_.tokens.begin(),
                    draft_.tokens.begin() + static_cast<std::ptrdiff_t>(count));
  }

 private:
  bool draws_;
  std::mt19937_64 random_;
  std::vector<int64_t> context_;
  Draft draft_;
};

Generation generation_of(Session& session, const std::vector<int64_t>& prompt,
                         const GenerateOptions& options) {
  session.rewind(0);
  auto found = generate(session, prompt, options, [](const Token&) { return true; });
  EXPECT_TRUE(found) << (found ? "" : found.error().to_string());
  return std::move(*found);
}

// Greedy and drawn, with everything that a sampler may do.
std::vector<SamplerOptions> samplers() {
  std::vector<SamplerOptions> all(4);
  all[1].temperature = 80;
  all[1].seed = 4;
  all[2].temperature = 60;
  all[2].top_k = 8;
  all[2].top_p = 0.9;
  all[2].min_p = 0.05;
  all[3].temperature = 50;
  all[3].repetition_penalty = 1.3;
  all[3].frequency_penalty = 20;
  all[3].logit_bias = {{3, 40}, {4, -INFINITY}};
  return all;
}

// To the end of the context, where no draft fits any more; after stop tokens and limits too.
TEST(Speculation, GivesTheTokensOfPlainDecoding) {
  std::mt19937 random(9);
  for (const auto& make : {ladder, single}) {
    const auto session = make();
    for (const SamplerOptions& sampler : samplers()) {
      RandomDrafter guesses(false);
      PromptLookup lookup;
      const auto twin = DraftModel::create(ladder(), {}, kTinyVocab).value();
      for (Drafter* drafter : {static_cast<Drafter*>(&guesses), static_cast<Drafter*>(&lookup),
                               static_cast<Drafter*>(twin.get())}) {
        for (int round = 0; round < 10; ++round) {
          std::vector<int64_t> prompt;
          for (size_t i = 0; i < 1 + random() % 9; ++i) {
            prompt.push_back(static_cast<int64_t>(random() % kTinyVocab));
          }
          GenerateOptions options;
          options.max_tokens = round % 2 == 0 ? 40 : 7;
          options.sampler = sampler;
          options.logprobs = 2;
          if (round % 3 == 0) options.stop_tokens = {5};
          const Generation plain = generation_of(*session, prompt, options);
          for (const bool adapt : {false, true}) {
            options.drafter = drafter;
            options.adapt = adapt;
            const Generation drafted = generation_of(*session, prompt, options);
            EXPECT_EQ(drafted.tokens, plain.tokens);
            EXPECT_EQ(drafted.reason, plain.reason);
            ASSERT_EQ(drafted.logprobs.size(), plain.logprobs.size());
            for (size_t i = 0; i < plain.logprobs.size(); ++i) {
              EXPECT_EQ(drafted.logprobs[i].chosen, plain.logprobs[i].chosen);
            }
            EXPECT_EQ(session->position(),
                      static_cast<int64_t>(prompt.size() + drafted.tokens.size()) - 1);
          }
        }
      }
    }
  }
}

// A draft model that is the model: all it drafts is right.
TEST(Speculation, TakesFewerStepsWhereDraftsAreRight) {
  const auto session = ladder();
  const auto twin = DraftModel::create(ladder(), {}, kTinyVocab).value();
  GenerateOptions options;
  options.max_tokens = 16;
  options.adapt = false;
  options.drafter = twin.get();
  const Generation drafted = generation_of(*session, {1, 2, 3}, options);
  EXPECT_EQ(drafted.tokens.size(), 16U);
  EXPECT_EQ(drafted.decode_steps, 3U);  // 1 of the prompt, 3 times 4 drafts and one more
  EXPECT_EQ(drafted.speculation.accepted, drafted.speculation.drafted);
}

// The sampler continues as though there had been no drafts, also after an answer that ended within
// a draft.
TEST(Speculation, LeavesTheSamplerWhereItWouldBe) {
  const auto session = ladder();
  SamplerOptions drawn;
  drawn.temperature = 80;
  RandomDrafter guesses(false);
  std::vector<std::vector<int64_t>> answers;
  for (Drafter* drafter : {static_cast<Drafter*>(nullptr), static_cast<Drafter*>(&guesses)}) {
    Sampler sampler(drawn);
    std::vector<int64_t> tokens;
    for (const int64_t count : {3, 5, 4}) {
      GenerateOptions options;
      options.max_tokens = count;
      options.drafter = drafter;
      options.adapt = false;
      session->rewind(0);
      const auto part = generate(*session, std::vector<int64_t>{1, 2}, options, sampler,
                                 [](const Token&) { return true; });
      ASSERT_OK(part);
      tokens.insert(tokens.end(), part->tokens.begin(), part->tokens.end());
    }
    answers.push_back(tokens);
  }
  EXPECT_EQ(answers[0], answers[1]);
}

TEST(Speculation, NeedsLogitsOfAllPositionsAndTheSameVocabulary) {
  const auto pair = session_of({method_of(Role::Decode, 1), method_of(Role::Prefill, 8)});
  PromptLookup lookup;
  GenerateOptions options;
  options.drafter = &lookup;
  EXPECT_FALSE(
      generate(*pair, std::vector<int64_t>{1}, options, [](const Token&) { return true; }));
  EXPECT_FALSE(DraftModel::create(ladder(), {}, kTinyVocab + 1));
  options.lookahead = LookaheadOptions{2, 1, 1};
  EXPECT_FALSE(
      generate(*ladder(), std::vector<int64_t>{1}, options, [](const Token&) { return true; }));
}

// --- Distributions ---

// What a sampler gives, from many draws of another one's that the test need not trust: the exact
// probabilities.
std::vector<double> probabilities(const SamplerOptions& options, const Logits& logits,
                                  const std::vector<int64_t>& context) {
  Distribution from;
  Sampler sampler(options);
  const int64_t certain = sampler.sample(logits, context, from).value();
  std::vector<double> result(logits.size());
  if (from.weights.empty()) result[static_cast<size_t>(certain)] = 1;
  for (const auto& [weight, token] : from.weights) {
    result[static_cast<size_t>(token)] = static_cast<double>(weight) / from.sum;
  }
  return result;
}

// Sum of the squares of what differs, each beside its variance; tokens that are expected less than
// five times are counted together. Returns how far it is from what chance gives, in deviations.
double surprise(const std::vector<int>& seen, const std::vector<double>& expected) {
  double all = 0;
  for (const int count : seen) all += count;
  double sum = 0, freedom = -1, rare_seen = 0, rare_expected = 0;
  const auto add = [&](double count, double wanted) {
    sum += (count - wanted) * (count - wanted) / wanted;
    ++freedom;
  };
  for (size_t i = 0; i < seen.size(); ++i) {
    const double wanted = expected[i] * all;
    if (wanted >= 5) {
      add(seen[i], wanted);
    } else {
      rare_seen += seen[i];
      rare_expected += wanted;
      EXPECT_TRUE(expected[i] > 0 || seen[i] == 0) << i;
    }
  }
  if (rare_expected >= 1) add(rare_seen, rare_expected);
  return freedom > 0 ? (sum - freedom) / std::sqrt(2 * freedom) : 0;
}
constexpr double kSurprising = 4.5;

TEST(Distribution, OfVerifiedDraftsIsTheSamplers) {
  std::mt19937_64 random(21);
  for (const SamplerOptions& options : samplers()) {
    Logits wanted(kTinyVocab), other(kTinyVocab);
    for (float& logit : wanted) logit = static_cast<float>(random() % 300);
    for (float& logit : other) logit = static_cast<float>(random() % 300);
    const std::vector<int64_t> context = {1, 7, 7, 2};
    for (const bool draws : {true, false}) {
      SamplerOptions drafts;
      drafts.temperature = 70;
      drafts.seed = 77;
      Sampler drafter(drafts), sampler(options);
      std::vector<int> seen(kTinyVocab);
      int accepted = 0;
      for (int i = 0; i < 40000; ++i) {
        Distribution from;
        const int64_t draft = drafter.sample(other, {}, from).value();
        if (!draws) from = {};
        const auto verdict = sampler.verify(wanted, context, draft, from);
        ASSERT_OK(verdict);
        EXPECT_EQ(verdict->accepted, verdict->token == draft);
        ++seen[static_cast<size_t>(verdict->token)];
        accepted += verdict->accepted ? 1 : 0;
      }
      EXPECT_GT(accepted, 0);
      const auto exact = probabilities(options, wanted, context);
      EXPECT_LT(surprise(seen, exact), kSurprising) << options.temperature << draws;
      // As often as two distributions can agree.
      if (draws && options.temperature > 0) {
        const auto q = probabilities(drafts, other, {});
        double common = 0;
        for (size_t t = 0; t < exact.size(); ++t) common += std::min(exact[t], q[t]);
        EXPECT_NEAR(accepted / 40000.0, common, 0.01);
      }
    }
  }
}

// Of the third token of an answer, which follows two that were drafted, accepted or not.
TEST(Distribution, OfAnswersWithDraftsIsTheModels) {
  const auto session = ladder();
  for (const SamplerOptions& base : samplers()) {
    if (base.temperature == 0) continue;
    const std::vector<int64_t> prompt = {3, 1};
    std::vector<double> exact(kTinyVocab);
    const auto follow = [&](const std::vector<int64_t>& tokens) {
      return probabilities(base, tiny_logits(tokens), tokens);
    };
    std::vector<int64_t> tokens = prompt;
    const auto first = follow(tokens);
    for (int64_t a = 0; a < kTinyVocab; ++a) {
      tokens = {3, 1, a};
      const auto second = follow(tokens);
      for (int64_t b = 0; b < kTinyVocab; ++b) {
        tokens = {3, 1, a, b};
        const auto third = follow(tokens);
        for (size_t c = 0; c < exact.size(); ++c) {
          exact[c] += first[static_cast<size_t>(a)] * second[static_cast<size_t>(b)] * third[c];
        }
      }
    }
    std::vector<int> seen(kTinyVocab);
    RandomDrafter drafter(true, base.top_k + 5);
    uint64_t accepted = 0;
    for (uint64_t seed = 0; seed < 3000; ++seed) {
      GenerateOptions options;
      options.max_tokens = 3;
      options.sampler = base;
      options.sampler.seed = seed;
      options.drafter = &drafter;
      options.adapt = false;
      const Generation generation = generation_of(*session, prompt, options);
      ++seen[static_cast<size_t>(generation.tokens.at(2))];
      accepted += generation.speculation.accepted;
    }
    EXPECT_GT(accepted, 300U);
    EXPECT_LT(surprise(seen, exact), kSurprising) << base.temperature;
  }
}

// What a draft model draws and what the model draws are independent, whatever the seeds: the second
// token of an answer is drafted by another model with the first seeds, equal ones and inverted
// ones.
TEST(Distribution, OfAnswersWithADraftModelIsTheModels) {
  const auto session = ladder();
  const std::vector<int64_t> prompt = {3, 1};
  SamplerOptions base;
  base.temperature = 80;
  std::vector<double> exact(kTinyVocab);
  const auto first = probabilities(base, tiny_logits(prompt), prompt);
  for (int64_t a = 0; a < kTinyVocab; ++a) {
    const std::vector<int64_t> tokens = {3, 1, a};
    const auto second = probabilities(base, tiny_logits(tokens), tokens);
    for (size_t b = 0; b < exact.size(); ++b) {
      exact[b] += first[static_cast<size_t>(a)] * second[b];
    }
  }
  for (const uint64_t change : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
    std::vector<int> seen(kTinyVocab);
    uint64_t accepted = 0, drafted = 0;
    for (uint64_t seed = 0; seed < 1500; ++seed) {
      SamplerOptions drafts = base;
      drafts.temperature = 120;  // another distribution than the model's
      drafts.seed = seed ^ change;
      const auto drafter = DraftModel::create(ladder(), drafts, kTinyVocab).value();
      GenerateOptions options;
      options.max_tokens = 2;
      options.sampler = base;
      options.sampler.seed = seed;
      options.drafter = drafter.get();
      options.adapt = false;
      const Generation generation = generation_of(*session, prompt, options);
      ++seen[static_cast<size_t>(generation.tokens.at(1))];
      accepted += generation.speculation.accepted;
      drafted += generation.speculation.drafted;
    }
    EXPECT_GT(drafted, accepted);
    EXPECT_GT(accepted, 500U);
    EXPECT_LT(surprise(seen, exact), kSurprising) << change;
  }
}

// --- Drafters ---

TEST(PromptLookup, ContinuesAsItWentOn) {
  PromptLookup lookup;
  ASSERT_OK(lookup.begin(std::vector<int64_t>{1, 2, 3, 4, 5, 9, 9}));
  const auto next = [&](const std::vector<int64_t>& context, int64_t most) {
    return lookup.propose(context, most).value();
  };
  EXPECT_TRUE(next({1, 2, 3, 4, 5, 9, 9, 7}, 4).tokens.empty());
  const Draft found = next({1, 2, 3, 4, 5, 9, 9, 7, 2, 3}, 3);
  EXPECT_EQ(found.tokens, (std::vector<int64_t>{4, 5, 9}));
  EXPECT_EQ(found.kind, 0U);
  EXPECT_TRUE(next({1, 2, 3, 4, 5, 9, 9, 7, 2, 3}, 0).tokens.empty());
  // A longer match is of another kind, and what repeats goes on.
  ASSERT_OK(lookup.begin(std::vector<int64_t>{1, 2, 1, 2, 1}));
  const Draft again = next({1, 2, 1, 2, 1, 2}, 5);
  EXPECT_EQ(again.tokens, (std::vector<int64_t>{1, 2, 1, 2, 1}));
  EXPECT_GT(again.kind, 0U);
  EXPECT_LT(again.kind, lookup.kinds());
}

}  // namespace
}  // namespace diptych::generate
