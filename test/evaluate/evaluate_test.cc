// The demo model on its held-out text, from files that give all logits and the last ones only.
#include "evaluate/evaluate.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "exporter/export.h"
#include "generate/sampler.h"
#include "testing/shared_data.h"
#include "text/tokenizer.h"

namespace diptych::evaluate {
namespace {

constexpr int64_t kContext = 64;
constexpr int64_t kPositions = 150;  // two whole windows and a part

Result<std::string> export_demo(bool multifunction) {
  exporter::Options options;
  options.max_context_len = kContext;
  options.input_len = 16;
  options.multifunction = multifunction;
  const std::string path =
      testing::temporary_directory() + (multifunction ? "/multi.pte" : "/single.pte");
  Progress silent;
  TRY(exporter::export_files(testing::source_path("demo/model.pth"),
                             testing::source_path("demo/params.json"), path, options, silent));
  return path;
}

Result<std::unique_ptr<generate::Session>> open(const std::string& path,
                                                engine::Numerics numerics) {
  runtime::Options options;
  options.numerics = numerics;
  options.threads = 2;
  return generate::Session::create(TRY(runtime::Program::open(path, options)));
}

Result<std::unique_ptr<generate::Session>> demo_session(bool multifunction,
                                                        engine::Numerics numerics) {
  return open(TRY(export_demo(multifunction)), numerics);
}

Result<std::vector<Window>> held_out_windows() {
  const auto tokenizer = TRY(text::open_tokenizer(testing::source_path("demo/tokenizer.model")));
  const std::string text = TRY(read_text_file(testing::source_path("demo/held_out.txt")));
  const auto ids = TRY(tokenizer->encode(text, false));
  const std::vector<int64_t> prefix(tokenizer->prefix().begin(), tokenizer->prefix().end());
  return make_windows(std::vector<int64_t>(ids.begin(), ids.end()), prefix, kContext, kPositions);
}

TEST(Evaluate, TheDemoModelPredictsHeldOutText) {
  auto model = demo_session(false, engine::Numerics::Precise);
  ASSERT_OK(model);
  const auto windows = held_out_windows();
  ASSERT_OK(windows);
  Progress silent;
  const auto evaluation = evaluate(**model, nullptr, *windows, silent);
  ASSERT_OK(evaluation);
  EXPECT_EQ(evaluation->positions, kPositions);
  EXPECT_FALSE(evaluation->reference);
  EXPECT_FALSE(evaluation->comparison);
  EXPECT_GT(evaluation->model.perplexity(), 1);
  EXPECT_LT(evaluation->model.perplexity(), 20);  // of 1024 tokens
  EXPECT_GT(evaluation->model.seconds, 0);
}

// Multifunction files go one token at a time, and the last positions through prefill.
TEST(Evaluate, SingleAndMultifunctionFilesAgree) {
  auto single = demo_session(false, engine::Numerics::Precise);
  auto multi = demo_session(true, engine::Numerics::Precise);
  ASSERT_OK(single);
  ASSERT_OK(multi);
  const auto windows = held_out_windows();
  ASSERT_OK(windows);
  Progress silent;
  for (const auto& [model, reference] :
       {std::pair{multi->get(), single->get()}, {single->get(), multi->get()}}) {
    const auto evaluation = evaluate(*model, reference, *windows, silent);
    ASSERT_OK(evaluation);
    EXPECT_NEAR(evaluation->model.mean_nll, evaluation->reference->mean_nll, 1e-5);
    EXPECT_LT(evaluation->comparison->max_kl, 1e-6);
    EXPECT_LT(evaluation->comparison->max_logit_difference, 1e-3);
    EXPECT_EQ(evaluation->comparison->top1_agreement, 1);
  }
}

TEST(Evaluate, NumericsOfOneFileCompare) {
  const auto path = export_demo(false);
  ASSERT_OK(path);
  auto typed = open(*path, engine::Numerics::Typed),
       precise = open(*path, engine::Numerics::Precise);
  ASSERT_OK(typed);
  ASSERT_OK(precise);
  const auto windows = held_out_windows();
  ASSERT_OK(windows);
  Progress silent;
  const auto evaluation = evaluate(**typed, precise->get(), *windows, silent);
  ASSERT_OK(evaluation);
  const Comparison& c = *evaluation->comparison;
  EXPECT_GT(c.mean_kl, 0);
  EXPECT_LT(c.max_kl, 0.01);
  EXPECT_LE(c.mean_kl, c.max_kl);
  EXPECT_GT(c.mean_logit_difference, 0);
  EXPECT_LT(c.max_logit_difference, 0.5);
  EXPECT_LE(c.mean_logit_difference, c.max_logit_difference);
  EXPECT_GT(c.top1_agreement, 0.95);
}

// The sums of windows that were evaluated apart, added up in order, give the figures of the whole.
TEST(Evaluate, PartsOfATextAddUpToTheBit) {
  const auto path = export_demo(false);
  ASSERT_OK(path);
  auto typed = open(*path, engine::Numerics::Typed),
       precise = open(*path, engine::Numerics::Precise);
  ASSERT_OK(typed);
  ASSERT_OK(precise);
  const auto windows = held_out_windows();
  ASSERT_OK(windows);
  Progress silent;
  const auto whole = evaluate(**typed, precise->get(), *windows, silent);
  ASSERT_OK(whole);
  ASSERT_EQ(whole->windows.size(), windows->size());
  for (const int64_t parts : {1, 2, 3}) {
    double nll = 0, kl = 0;
    int64_t positions = 0, top1 = 0;
    for (int64_t part = 0; part < parts; ++part) {
      const auto evaluation =
          evaluate(**typed, precise->get(), part_of(*windows, part, parts), silent);
      ASSERT_OK(evaluation);
      for (const WindowSums& sums : evaluation->windows) {
        nll += sums.nll;
        kl += sums.kl;
        positions += sums.positions;
        top1 += sums.same_top1;
      }
    }
    const auto count = static_cast<double>(positions);
    EXPECT_EQ(positions, whole->positions);
    EXPECT_EQ(nll / count, whole->model.mean_nll);
    EXPECT_EQ(kl / count, whole->comparison->mean_kl);
    EXPECT_EQ(static_cast<double>(top1) / count, whole->comparison->top1_agreement);
  }
}

TEST(Evaluate, RefusesWhatDoesNotFit) {
  auto model = demo_session(false, engine::Numerics::Precise);
  ASSERT_OK(model);
  Progress silent;
  const auto refusal = [&](const std::vector<Window>& windows) {
    const auto evaluation = evaluate(**model, nullptr, windows, silent);
    return evaluation ? std::string("accepted") : evaluation.error().to_string();
  };
  EXPECT_EQ(refusal({}),
            "no position to evaluate: expected a text of at least one token after its beginning");
  EXPECT_EQ(refusal({{{1, 2}, {2, 5000}}}),
            "token 5000 is outside the vocabulary, expected 0 to 1023");
  EXPECT_EQ(refusal({{{1, -2}, {2, 5}}}),
            "window 0: token -2 is outside the vocabulary, expected 0 to 1023");
  const std::vector<int64_t> many(kContext + 1, 1);
  EXPECT_EQ(refusal({{many, many}}),
            "windows of 65 positions do not fit the model's context of 64");
}

class Impatient : public Progress {
 public:
  bool cancelled() const override { return true; }
};

TEST(Evaluate, EndsWhenCancelled) {
  auto model = demo_session(false, engine::Numerics::Precise);
  ASSERT_OK(model);
  Impatient progress;
  const auto evaluation = evaluate(**model, nullptr, {{{{1}, {2}}}}, progress);
  ASSERT_FALSE(evaluation);
  EXPECT_EQ(evaluation.error().code, ErrorCode::Cancelled);
}

// --- What evaluation asks of Session ---

// All positions of the context: those beyond the cache too.
TEST(Session, GivesTheLogitsAfterEachToken) {
  std::vector<int64_t> tokens(kContext);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = 1 + static_cast<int64_t>(i * 37 % 1000);
  for (const bool multifunction : {false, true}) {
    auto session = demo_session(multifunction, engine::Numerics::Precise);
    ASSERT_OK(session);
    std::vector<std::vector<float>> each;
    const auto keep = [&](size_t index, std::span<const float> logits) -> Status {
      EXPECT_EQ(index, each.size());
      each.emplace_back(logits.begin(), logits.end());
      return {};
    };
    ASSERT_OK((*session)->evaluate_each(tokens, keep));
    ASSERT_EQ(each.size(), tokens.size());
    for (const size_t count : {size_t{1}, size_t{5}, size_t{16}, size_t{33}, tokens.size()}) {
      (*session)->rewind(0);
      const auto last = (*session)->evaluate(std::span(tokens).first(count));
      ASSERT_OK(last);
      for (size_t i = 0; i < last->size(); ++i) ASSERT_NEAR(each[count - 1][i], (*last)[i], 1e-3);
      // In the first call of the only function the rows before padding come out the same.
      if (multifunction || count > 16) continue;
      EXPECT_EQ(std::vector<float>(last->begin(), last->end()), each[count - 1]) << count;
    }
  }
}

TEST(Session, ForgetsWhatIsRewound) {
  auto session = demo_session(true, engine::Numerics::Precise);
  ASSERT_OK(session);
  const std::vector<int64_t> start = {1, 300, 41}, one = {77, 500}, other = {12, 9};
  ASSERT_OK((*session)->evaluate(start));
  const auto first = (*session)->evaluate(other);
  ASSERT_OK(first);
  const std::vector<float> expected(first->begin(), first->end());
  (*session)->rewind(3);
  ASSERT_OK((*session)->evaluate(one));
  (*session)->rewind(3);
  EXPECT_EQ((*session)->position(), 3);
  const auto again = (*session)->evaluate(other);
  ASSERT_OK(again);
  EXPECT_EQ(std::vector<float>(again->begin(), again->end()), expected);
}

TEST(Session, AnErrorOfTheVisitorEndsTheEvaluation) {
  auto session = demo_session(true, engine::Numerics::Precise);
  ASSERT_OK(session);
  const std::vector<int64_t> tokens = {1, 300, 41};
  const Status status =
      (*session)->evaluate_each(tokens, [](size_t index, std::span<const float>) -> Status {
        if (index == 1) return invalid_argument("enough");
        return {};
      });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "enough");
}

}  // namespace
}  // namespace diptych::evaluate
