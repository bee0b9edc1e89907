// The scheduler on a model whose logits a test knows (generate/tiny_model.h): whatever is asked at
// once, every answer is the one that a session of its own gives.
#include "serve/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "generate/generator.h"
#include "generate/tiny_model.h"
#include "testing/shared_data.h"

namespace diptych::serve {
namespace {

using generate::StopReason;

struct Answered {
  std::vector<int64_t> prompt, tokens;  // prompt: as it was echoed
  std::vector<double> logprobs;         // of the prompt's tokens behind the first, and the answer's
  Outcome outcome;
};

std::vector<Answered> collect(Reply& reply) {
  std::vector<Answered> answers;
  for (;;) {
    const Reply::News news = reply.wait(std::chrono::seconds(20));
    for (const Part& part : news.parts) {
      if (answers.size() <= part.answer) answers.resize(part.answer + 1);
      Answered& answer = answers[part.answer];
      if (part.token) (part.of_prompt ? answer.prompt : answer.tokens).push_back(*part.token);
      if (part.logprobs) answer.logprobs.push_back(part.logprobs->chosen);
    }
    if (news.finished) break;
    if (news.parts.empty()) {
      ADD_FAILURE() << "nothing comes";
      break;
    }
  }
  answers.resize(reply.outcomes().size());
  for (size_t i = 0; i < answers.size(); ++i) answers[i].outcome = reply.outcomes()[i];
  return answers;
}

class Schedulers : public ::testing::Test {
 protected:
  void SetUp() override {
    using contract::method_of, contract::Role;
    auto program = generate::tiny_program(
        {method_of(Role::Decode, 1), method_of(Role::Prefill, 4), method_of(Role::Verify, 3)},
        generate::kTinyContext - 1);
    ASSERT_OK(program);
    program_ = std::move(*program);
  }

  std::unique_ptr<Scheduler> scheduler(const SchedulerOptions& options) {
    auto made = Scheduler::create([this] { return generate::Session::create(program_); }, nullptr,
                                  turns_, options);
    EXPECT_TRUE(made) << made.error().to_string();
    (*made)->start();
    return std::move(*made);
  }

  static Job job(std::vector<int64_t> prompt, int64_t max_tokens, uint64_t seed = 0) {
    Job made;
    made.prompt = std::move(prompt);
    made.max_tokens = max_tokens;
    made.sampler.temperature = seed == 0 ? 0 : 3;
    made.sampler.seed = seed;
    return made;
  }
  static std::shared_ptr<Reply> ask(Scheduler& scheduler, Job job) {
    std::vector<Job> jobs;
    jobs.push_back(std::move(job));
    return scheduler.submit(std::move(jobs));
  }

  // What a session of its own answers.
  generate::Generation expected(const Job& job) {
    const auto session = generate::Session::create(program_).value();
    generate::GenerateOptions options;
    options.max_tokens = job.max_tokens;
    options.sampler = job.sampler;
    options.stop_tokens = job.stop_tokens;
    return generate::generate(*session, job.prompt, options, [](const auto&) { return true; })
        .value();
  }

  std::shared_ptr<runtime::Program> program_;
  Turns turns_;
};

TEST_F(Schedulers, EveryAnswerIsThatOfASessionOfItsOwn) {
  for (const int slots : {1, 2, 5}) {
    SchedulerOptions options;
    options.slots = slots;
    options.most_waiting = 1000;
    const auto scheduler = this->scheduler(options);
    std::mt19937 random(7);
    std::vector<Job> jobs;
    std::vector<generate::Generation> wanted;
    for (uint64_t seed = 0; seed < 60; ++seed) {
      std::vector<int64_t> prompt = {1, 2, 3, 4, 5, 6};  // a beginning that many share
      prompt.resize(1 + random() % 6);
      while (random() % 3 != 0 && prompt.size() < 20) {
        prompt.push_back(static_cast<int64_t>(random() % generate::kTinyVocab));
      }
      Job made = job(prompt, 1 + random() % 25, seed);
      if (seed % 4 == 0) made.stop_tokens = {3};
      wanted.push_back(expected(made));
      jobs.push_back(std::move(made));
    }
    const auto reply = scheduler->submit(std::move(jobs));
    ASSERT_NE(reply, nullptr);
    const std::vector<Answered> answers = collect(*reply);
    for (size_t i = 0; i < answers.size(); ++i) {
      SCOPED_TRACE(i);
      ASSERT_FALSE(answers[i].outcome.error) << answers[i].outcome.error->to_string();
      EXPECT_EQ(answers[i].tokens, wanted[i].tokens);
      EXPECT_EQ(answers[i].outcome.reason, wanted[i].reason);
      EXPECT_EQ(answers[i].outcome.answer_tokens, std::ssize(wanted[i].tokens));
    }
    const State state = scheduler->state();
    EXPECT_GT(state.counters.reused_tokens, 0U);
  }
}

TEST_F(Schedulers, KeepsWhatACacheHoldsOfAPrompt) {
  SchedulerOptions options;
  options.slots = 2;
  const auto scheduler = this->scheduler(options);
  const std::vector<int64_t> prompt = {5, 4, 3, 2, 1, 0, 1, 2};
  EXPECT_EQ(collect(*ask(*scheduler, job(prompt, 2)))[0].outcome.reused_tokens, 0);
  // At least one token is evaluated again, for its logits.
  EXPECT_EQ(collect(*ask(*scheduler, job(prompt, 2)))[0].outcome.reused_tokens, 7);
  std::vector<int64_t> longer = prompt;
  longer.push_back(9);
  const Answered answer = collect(*ask(*scheduler, job(longer, 2)))[0];
  EXPECT_EQ(answer.outcome.reused_tokens, 8);
  EXPECT_EQ(answer.tokens, expected(job(longer, 2)).tokens);

  options.reuse = false;
  const auto forgetful = this->scheduler(options);
  collect(*ask(*forgetful, job(prompt, 2)));
  EXPECT_EQ(collect(*ask(*forgetful, job(prompt, 2)))[0].outcome.reused_tokens, 0);
}

// A prefix that another slot holds is copied.
TEST_F(Schedulers, SharesAPrefixAmongSlots) {
  SchedulerOptions options;
  options.slots = 2;
  const auto scheduler = this->scheduler(options);
  std::vector<int64_t> prompt;
  for (int64_t i = 0; i < 20; ++i) prompt.push_back(i % generate::kTinyVocab);
  std::vector<Job> jobs;
  for (uint64_t seed = 1; seed <= 6; ++seed) jobs.push_back(job(prompt, 3, seed));
  const std::vector<Answered> answers = collect(*scheduler->submit(std::move(jobs)));
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].tokens, expected(job(prompt, 3, i + 1)).tokens);
    if (i > 1) {
      EXPECT_EQ(answers[i].outcome.reused_tokens, 19) << i;
    }
  }
}

TEST_F(Schedulers, EchoesPromptsWithLogProbabilities) {
  const auto scheduler = this->scheduler({});
  const std::vector<int64_t> prompt = {7, 1, 12, 0, 5, 5, 2};
  Job made = job(prompt, 1);
  made.echo = true;
  made.logprobs = 2;
  const Answered answer = collect(*ask(*scheduler, std::move(made)))[0];
  EXPECT_EQ(answer.prompt, prompt);
  ASSERT_EQ(answer.logprobs.size(), prompt.size());  // none of the first token, one of the answer's
  for (size_t i = 1; i < prompt.size(); ++i) {
    const std::vector<int64_t> before(prompt.begin(), prompt.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_FLOAT_EQ(answer.logprobs[i - 1],
                    generate::logprobs(generate::tiny_logits(before), prompt[i], 0).chosen);
  }
  EXPECT_EQ(answer.tokens, expected(job(prompt, 1)).tokens);

  Job only_prompt = job(prompt, 0);
  only_prompt.echo = true;
  const Answered none = collect(*ask(*scheduler, std::move(only_prompt)))[0];
  EXPECT_EQ(none.prompt, prompt);
  EXPECT_TRUE(none.tokens.empty());
  EXPECT_EQ(none.outcome.reason, StopReason::MaxTokens);
}

// Allows multiples of three.
class Threes : public generate::TokenFilter {
 public:
  Result<std::span<const uint64_t>> allowed() override { return mask_; }
  void accept(int64_t token) override {
    EXPECT_EQ(token % 3, 0);
    ++accepted_;
  }
  bool complete() const override { return accepted_ == 12; }

 private:
  std::vector<uint64_t> mask_ = {0b1001001001001};
  int accepted_ = 0;
};

TEST_F(Schedulers, KeepToFilters) {
  const auto scheduler = this->scheduler({});
  Job made = job({1, 2}, 15, 3);
  made.filter = std::make_unique<Threes>();
  const Answered answer = collect(*ask(*scheduler, std::move(made)))[0];
  EXPECT_EQ(answer.tokens.size(), 12U);
  EXPECT_EQ(answer.outcome.reason, StopReason::Complete);
}

TEST_F(Schedulers, AnErrorEndsOneAnswerAlone) {
  SchedulerOptions options;
  options.slots = 2;
  const auto scheduler = this->scheduler(options);
  Job banned = job({1, 2}, 5);
  for (int64_t id = 0; id < generate::kTinyVocab; ++id) banned.sampler.logit_bias[id] = -INFINITY;
  std::vector<Job> jobs;
  jobs.push_back(std::move(banned));
  jobs.push_back(job({3, 4}, 9));
  jobs.push_back(job({99}, 9));
  const std::vector<Answered> answers = collect(*scheduler->submit(std::move(jobs)));
  ASSERT_TRUE(answers[0].outcome.error);
  EXPECT_THAT(answers[0].outcome.error->message, ::testing::HasSubstr("no token is left"));
  EXPECT_EQ(answers[1].tokens, expected(job({3, 4}, 9)).tokens);
  ASSERT_TRUE(answers[2].outcome.error);
  EXPECT_THAT(answers[2].outcome.error->message, ::testing::HasSubstr("outside the vocabulary"));
}

TEST_F(Schedulers, CancelsAndRefuses) {
  SchedulerOptions options;
  options.most_waiting = 2;
  // Nothing is begun before start().
  auto made = Scheduler::create([this] { return generate::Session::create(program_); }, nullptr,
                                turns_, options);
  ASSERT_OK(made);
  Scheduler& scheduler = **made;
  const auto first = ask(scheduler, job({1}, 20));
  const auto second = ask(scheduler, job({2}, 20));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(ask(scheduler, job({3}, 20)), nullptr);
  EXPECT_EQ(scheduler.state().waiting, 2U);
  EXPECT_EQ(scheduler.state().counters.refused, 1U);
  first->cancel();
  const auto third = ask(scheduler, job({3}, 20));  // in place of who has left
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(collect(*first)[0].outcome.reason, StopReason::Cancelled);
  scheduler.start();
  EXPECT_EQ(collect(*second)[0].tokens, expected(job({2}, 20)).tokens);
  EXPECT_EQ(collect(*third)[0].tokens, expected(job({3}, 20)).tokens);
  scheduler.stop();
  EXPECT_EQ(ask(scheduler, job({3}, 20)), nullptr);
}

TEST_F(Schedulers, StoppingEndsWhatIsLeft) {
  SchedulerOptions options;
  options.most_waiting = 100;
  const auto scheduler = this->scheduler(options);
  std::vector<std::shared_ptr<Reply>> replies;
  for (int i = 0; i < 50; ++i) replies.push_back(ask(*scheduler, job({1, 2, 3}, 20)));
  scheduler->stop();
  size_t cancelled = 0;
  for (const auto& reply : replies) {
    const Outcome outcome = collect(*reply)[0].outcome;
    if (outcome.reason == StopReason::Cancelled) ++cancelled;
  }
  EXPECT_GT(cancelled, 0U);
}

TEST_F(Schedulers, SessionsAreSavedAndReadBack) {
  const auto session = generate::Session::create(program_).value();
  const std::vector<int64_t> tokens = {1, 5, 3, 8, 12, 0};
  ASSERT_OK(session->evaluate(tokens));
  ASSERT_TRUE(session->can_save());
  MemorySink sink;
  ASSERT_OK(session->write_rows(sink));
  const auto other = generate::Session::create(program_).value();
  EXPECT_EQ(sink.data.size(), tokens.size() * other->row_bytes());
  ASSERT_OK(other->read_rows(sink.data, tokens));
  const std::vector<int64_t> next = {4};
  EXPECT_TRUE(std::ranges::equal(session->evaluate(next).value(), other->evaluate(next).value()));
  sink.data.pop_back();
  EXPECT_FALSE(other->read_rows(sink.data, tokens));
  EXPECT_FALSE(other->read_rows({}, std::vector<int64_t>{generate::kTinyVocab}));
}

}  // namespace
}  // namespace diptych::serve
