// Sessions over a model whose logits the test computes by itself (tiny_model.h): all tokens seen
// before, none after, wherever calls are cut and whatever was rewound.
#include "generate/session.h"

#include <gtest/gtest.h>

#include <random>

#include "generate/generator.h"
#include "generate/lookahead.h"
#include "testing/shared_data.h"
#include "tiny_model.h"

namespace diptych::generate {
namespace {

using contract::method_of;
using contract::Role;

struct Form {
  const char* name;
  std::vector<contract::Method> methods;
  int64_t cache_len;
  TinyWindows windows = {{}};
  const char* broken = "";  // the method of two partitions
};

const Form kForms[] = {
    {"single", {method_of(Role::Single, 8)}, kTinyContext - 8},
    {"pair", {method_of(Role::Decode, 1), method_of(Role::Prefill, 8)}, kTinyContext - 1},
    {"ladder",
     {method_of(Role::Decode, 1), method_of(Role::Prefill, 4),
      contract::Method{"prefill_8", Role::Prefill, 8, false}, method_of(Role::Verify, 6)},
     kTinyContext - 1},
    {"decode_alone", {method_of(Role::Decode, 1)}, kTinyContext - 1},
    {"windows_single", {method_of(Role::Single, 8)}, kTinyContext - 8, {5, {}, 5}},
    {"windows_pair",
     {method_of(Role::Decode, 1), method_of(Role::Prefill, 8)},
     kTinyContext - 1,
     {5, {}}},
    {"windows_ladder",
     {method_of(Role::Decode, 1), method_of(Role::Prefill, 4),
      contract::Method{"prefill_8", Role::Prefill, 8, false}, method_of(Role::Verify, 6)},
     kTinyContext - 1,
     {{}, 3, 7, 1}},
    {"windows_alone", {method_of(Role::Decode, 1), method_of(Role::Prefill, 8)}, 1, {4, 4}},
    {"unequal_partitions",
     {method_of(Role::Decode, 1), method_of(Role::Prefill, 8), method_of(Role::Verify, 6)},
     kTinyContext - 1,
     {{}, 3},
     "prefill"},
    // A window that only the last tokens, those that no longer fit the cache, reach over.
    {"window_beyond_the_cache", {method_of(Role::Single, 8)}, kTinyContext - 8, {{}, 20}},
};

class Sessions : public ::testing::TestWithParam<Form> {
 protected:
  void SetUp() override {
    auto program = tiny_program(GetParam().methods, GetParam().cache_len, GetParam().windows,
                                GetParam().broken);
    ASSERT_OK(program);
    auto session = Session::create(*program);
    ASSERT_OK(session);
    session_ = std::move(*session);
  }

  std::vector<int64_t> some_tokens(size_t count) {
    std::vector<int64_t> tokens;
    while (tokens.size() < count) {
      tokens.push_back(static_cast<int64_t>(random_() % kTinyVocab));
    }
    return tokens;
  }

  void expect_logits(std::span<const float> found, const std::vector<int64_t>& history) {
    EXPECT_EQ(std::vector<float>(found.begin(), found.end()),
              tiny_logits(history, GetParam().windows));
  }

  std::unique_ptr<Session> session_;
  std::mt19937 random_{5};
};

// Some of several conversations take a step together, wherever each of them stands.
TEST_P(Sessions, TakeStepsTogether) {
  auto program =
      tiny_program(GetParam().methods, GetParam().cache_len, GetParam().windows, GetParam().broken);
  ASSERT_OK(program);
  constexpr size_t kSessions = 5;
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::vector<int64_t>> histories(kSessions);
  for (size_t i = 0; i < kSessions; ++i) {
    sessions.push_back(Session::create(*program).value());
    histories[i] = some_tokens(i * 3 % 8 + 1);
    ASSERT_OK(sessions[i]->evaluate(histories[i]));
  }
  for (int round = 0; round < 60; ++round) {
    std::vector<Session*> together;
    std::vector<size_t> members;
    for (size_t i = 0; i < kSessions; ++i) {
      if (sessions[i]->remaining() == 0 || random_() % 20 == 0) {
        histories[i].resize(1 + random_() % histories[i].size());
        sessions[i]->rewind(static_cast<int64_t>(histories[i].size()));
      }
      if (random_() % 3 == 0 || sessions[i]->remaining() == 0) continue;
      members.push_back(i);
      together.push_back(sessions[i].get());
    }
    const std::vector<int64_t> tokens = some_tokens(members.size());
    ASSERT_OK(Session::evaluate_together(together, tokens));
    for (size_t i = 0; i < members.size(); ++i) {
      histories[members[i]].push_back(tokens[i]);
      expect_logits(together[i]->logits(), histories[members[i]]);
    }
  }
}

TEST_P(Sessions, RefuseStepsThatAreNoneTogether) {
  auto other =
      tiny_program(GetParam().methods, GetParam().cache_len, GetParam().windows, GetParam().broken);
  const auto stranger = Session::create(*other).value();
  Session* const session = session_.get();
  const auto problem = [](std::vector<Session*> sessions, std::vector<int64_t> tokens) {
    const Status status = Session::evaluate_together(sessions, tokens);
    return status ? "none" : status.error().message;
  };
  EXPECT_EQ(problem({session, stranger.get()}, {1, 2}),
            "sessions of several programs cannot be evaluated together");
  EXPECT_EQ(problem({session, session}, {1, 2}), "session 1 is there twice");
  EXPECT_EQ(problem({session}, {1, 2}), "2 tokens for 1 sessions");
  EXPECT_EQ(problem({session}, {kTinyVocab}),
            "token 13 is outside the vocabulary, expected 0 to 12");
  EXPECT_EQ(session_->position(), 0);
  EXPECT_EQ(problem({}, {}), "none");
}

TEST_P(Sessions, SeeAllTokensBeforeHoweverCallsAreCut) {
  for (int round = 0; round < 50; ++round) {
    session_->rewind(0);
    const std::vector<int64_t> tokens = some_tokens(kTinyContext);
    for (size_t at = 0; at < tokens.size();) {
      const size_t count = std::min<size_t>(1 + random_() % 9, tokens.size() - at);
      const auto logits = session_->evaluate(std::span(tokens).subspan(at, count));
      ASSERT_OK(logits);
      at += count;
      expect_logits(*logits, {tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(at)});
    }
    EXPECT_EQ(session_->remaining(), 0);
    EXPECT_FALSE(session_->evaluate(std::vector<int64_t>{1}));
  }
}

TEST_P(Sessions, ForgetWhatIsRewound) {
  std::vector<int64_t> history;
  for (int step = 0; step < 200; ++step) {
    const size_t keep = random_() % (history.size() + 1);
    session_->rewind(static_cast<int64_t>(keep));
    history.resize(keep);
    const std::vector<int64_t> more =
        some_tokens(std::min<size_t>(1 + random_() % 10, static_cast<size_t>(kTinyContext) - keep));
    if (more.empty()) continue;
    history.insert(history.end(), more.begin(), more.end());
    const auto logits = session_->evaluate(more);
    ASSERT_OK(logits);
    expect_logits(*logits, history);
    EXPECT_EQ(session_->position(), static_cast<int64_t>(history.size()));
  }
}

// What is held of other tokens can be gone on from at once, here and in a copy.
TEST_P(Sessions, CopyWhatAnotherHoldsOfAText) {
  const auto program = tiny_program(GetParam().methods, GetParam().cache_len, GetParam().windows);
  ASSERT_OK(program);
  const auto other = Session::create(*program);
  ASSERT_OK(other);
  for (int round = 0; round < 100; ++round) {
    session_->rewind(0);
    const std::vector<int64_t> tokens = some_tokens(1 + random_() % (kTinyContext - 1));
    ASSERT_OK(session_->evaluate(tokens));
    std::vector<int64_t> text(tokens.begin(),
                              tokens.begin() + static_cast<ptrdiff_t>(random_() % tokens.size()));
    text.push_back(static_cast<int64_t>(random_() % kTinyVocab));
    const int64_t held = session_->held_of(std::span(text).first(text.size() - 1));
    if (session_->can_save()) {
      EXPECT_EQ(held, std::min<int64_t>(std::ssize(text) - 1, session_->saved_tokens()));
    }
    (*other)->copy_from(*session_, held);
    session_->rewind(held);
    for (Session* const each : {session_.get(), other->get()}) {
      EXPECT_EQ(each->position(), held);
      EXPECT_EQ(each->saved_tokens(), held);
      const auto logits = each->evaluate(std::span(text).subspan(static_cast<size_t>(held)));
      ASSERT_OK(logits);
      expect_logits(*logits, text);
    }
  }
}

TEST_P(Sessions, GiveTheLogitsAfterEachToken) {
  const std::vector<int64_t> tokens = some_tokens(kTinyContext);
  ASSERT_OK(session_->evaluate(std::span(tokens).first(3)));
  size_t seen = 0;
  ASSERT_OK(session_->evaluate_each(
      std::span(tokens).subspan(3), [&](size_t index, std::span<const float> logits) -> Status {
        EXPECT_EQ(index, seen++);
        expect_logits(logits,
                      {tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(4 + index)});
        return {};
      }));
  EXPECT_EQ(seen, tokens.size() - 3);
}

TEST_P(Sessions, RefuseTokensBeforeAnythingIsComputed) {
  EXPECT_FALSE(session_->evaluate({}));
  for (const int64_t token : {int64_t{-1}, kTinyVocab}) {
    EXPECT_FALSE(session_->evaluate(std::vector<int64_t>{1, token}));
  }
  EXPECT_FALSE(session_->evaluate(std::vector<int64_t>(kTinyContext + 1, 1)));
  EXPECT_EQ(session_->position(), 0);
  EXPECT_TRUE(session_->statistics().empty());
}

TEST_P(Sessions, StopBetweenCallsWhenCancelled) {
  const std::vector<int64_t> tokens = some_tokens(kTinyContext - 2);
  const auto stopped = session_->evaluate(tokens, [] { return true; });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::Cancelled);
  const auto at = static_cast<size_t>(session_->position());
  EXPECT_GT(at, 0U);
  const auto rest = session_->evaluate(std::span(tokens).subspan(at));
  ASSERT_OK(rest);
  expect_logits(*rest, tokens);
}

// The same tokens as greedy decoding, to the end of the context.
TEST_P(Sessions, LookaheadFindsTheGreedyTokens) {
  if (session_->model().verify() == nullptr || session_->model().verify()->method.tokens < 6) {
    EXPECT_FALSE(Lookahead::create({3, 1, 2}, session_->model(), 0));
    return;
  }
  for (int round = 0; round < 20; ++round) {
    const std::vector<int64_t> prompt = some_tokens(1 + random_() % 6);
    GenerateOptions options;
    options.max_tokens = 40;
    const auto all = [](const generate::Token&) { return true; };
    session_->rewind(0);
    const auto plain = generate(*session_, prompt, options, all);
    ASSERT_OK(plain);
    options.lookahead = LookaheadOptions{3, 1, 2};
    session_->rewind(0);
    const auto ahead = generate(*session_, prompt, options, all);
    ASSERT_OK(ahead);
    EXPECT_EQ(ahead->tokens, plain->tokens);
    std::vector<int64_t> history = prompt;
    for (const int64_t token : plain->tokens) {
      const std::vector<float> logits = tiny_logits(history, GetParam().windows);
      EXPECT_EQ(token, std::max_element(logits.begin(), logits.end()) - logits.begin());
      history.push_back(token);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, Sessions, ::testing::ValuesIn(kForms),
                         [](const auto& form) { return form.param.name; });

TEST(Session, UsesTheSmallestFunctionThatTakesAllTokens) {
  const auto program = tiny_program(kForms[2].methods, kForms[2].cache_len);
  ASSERT_OK(program);
  const auto session = Session::create(*program).value();
  ASSERT_OK(session->evaluate(std::vector<int64_t>{1}));
  ASSERT_OK(session->evaluate(std::vector<int64_t>{1, 2, 3}));
  ASSERT_OK(session->evaluate(std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(session->statistics().at("forward").calls, 1U);
  EXPECT_EQ(session->statistics().at("prefill").calls, 1U);
  EXPECT_EQ(session->statistics().at("prefill_8").calls, 1U);
}

}  // namespace
}  // namespace diptych::generate
