// Conversations with the demo model, which goes on telling whatever it is told: what matters here
// is which tokens are evaluated, and that answers do not depend on what the cache held before.

#include "chat/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exporter/export.h"
#include "testing/shared_data.h"

namespace diptych::chat {
namespace {

using answer::Message, answer::Piece, answer::Role, answer::Transcript;
using generate::StopReason;
using ::testing::HasSubstr;

constexpr int64_t kContext = 96;
constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'assistant' %}Once upon a time{{ m.content }}\n{% else %}{{ m.role }}: {{ "
    "m.content }}\n"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Once upon a time{% endif %}";

// The demo model in a file of this process.
const std::string& model_path() {
  static const std::string kPath = [] {
    exporter::Options options;
    options.max_context_len = kContext;
    options.input_len = 16;
    options.multifunction = true;
    const std::string path = testing::temporary_directory() + "/chat.pte";
    Progress silent;
    const auto report =
        exporter::export_files(testing::source_path("demo/model.pth"),
                               testing::source_path("demo/params.json"), path, options, silent);
    EXPECT_TRUE(report) << report.error().to_string();
    return path;
  }();
  return kPath;
}

// A session and a conversation in it.
class Talk {
 public:
  explicit Talk(Options options = greedy(12), const std::string& system = "",
                const char* chat_template = kTemplate)
      : session_(*generate::Session::create(
            *runtime::Program::open(model_path(), {engine::Numerics::Precise, 1}))),
        tokenizer_(*text::open_tokenizer(testing::source_path("demo/tokenizer.model"))),
        template_(*jinja::ChatTemplate::parse(chat_template)),
        conversation_(
            *Conversation::create(*session_, *tokenizer_, template_, system, std::move(options))) {}

  static Options greedy(int64_t max_tokens) {
    Options options;
    options.generate.max_tokens = max_tokens;
    return options;
  }

  Result<Answer> ask(const std::string& message) {
    shown_.clear();
    return conversation_.ask({{Role::User, message}}, [&](const Piece& piece) {
      shown_ += piece.text;
      return true;
    });
  }
  // The answer to a message that is expected to have one.
  Answer answer(const std::string& message) {
    auto answer = ask(message);
    EXPECT_TRUE(answer) << answer.error().to_string();
    if (!answer) return {};
    EXPECT_EQ(answer->text, shown_);
    return std::move(*answer);
  }
  Conversation* operator->() { return &conversation_; }
  const generate::Session& session() const { return *session_; }

 private:
  std::unique_ptr<generate::Session> session_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  jinja::ChatTemplate template_;
  Conversation conversation_;
  std::string shown_;
};

TEST(Conversation, EvaluatesOnlyWhatIsNew) {
  Talk talk;
  const Answer first = talk.answer("Tim had a dog.");
  EXPECT_EQ(first.reused_tokens, 0u);
  EXPECT_EQ(first.evaluated_tokens, first.prompt_tokens);
  EXPECT_EQ(first.generation.tokens.size(), 12u);
  const auto cached = static_cast<size_t>(talk.session().position());
  EXPECT_EQ(cached, first.prompt_tokens + 11);  // the last token is not evaluated yet

  const Answer second = talk.answer("Amy had a cat.");
  EXPECT_EQ(second.reused_tokens, cached);
  EXPECT_EQ(second.evaluated_tokens, second.prompt_tokens - cached);
  EXPECT_LT(second.evaluated_tokens, 30u);
}

TEST(Conversation, AnswersAsAFreshSessionGivenTheWholeConversation) {
  Talk talk(Talk::greedy(14), "Be nice.");
  talk.answer("Tim had a dog.");
  talk.answer("Amy had a cat.");
  const Transcript before = talk->transcript();
  const Answer warm = talk.answer("Ben had a boat.");

  Talk fresh(Talk::greedy(14), "Be nice.");
  ASSERT_OK(fresh->restore(before));
  const Answer cold = fresh.answer("Ben had a boat.");
  EXPECT_EQ(warm.generation.tokens, cold.generation.tokens);
  EXPECT_EQ(warm.text, cold.text);
  EXPECT_EQ(cold.reused_tokens, 0u);
  EXPECT_GT(warm.reused_tokens, cold.evaluated_tokens / 2);
  EXPECT_EQ(talk->transcript(), fresh->transcript());
}

TEST(Conversation, UndoTakesTheLastTurnBack) {
  Talk talk;
  talk.answer("Tim had a dog.");
  const Transcript before = talk->transcript();
  const Answer once = talk.answer("Amy had a cat.");
  ASSERT_TRUE(talk->undo());
  EXPECT_EQ(talk->transcript(), before);
  talk.answer("Ben had a boat.");
  ASSERT_TRUE(talk->undo());
  const Answer again = talk.answer("Amy had a cat.");
  EXPECT_EQ(again.text, once.text);
  EXPECT_GT(again.reused_tokens, 0u);
  EXPECT_TRUE(talk->undo());
  EXPECT_TRUE(talk->undo());
  EXPECT_FALSE(talk->undo());
}

TEST(Conversation, ResetKeepsTheSystemPromptAndTheSeed) {
  Options options = Talk::greedy(12);
  options.generate.sampler.temperature = 1.2;
  options.generate.sampler.seed = 3;
  Talk talk(options, "Be nice.");
  const Answer first = talk.answer("Tim had a dog.");
  talk.answer("Tim had a dog.");
  talk->reset();
  EXPECT_EQ(talk->transcript(), (Transcript{{{Role::System, "Be nice."}}}));
  EXPECT_EQ(talk.answer("Tim had a dog.").text, first.text);
  EXPECT_EQ(Talk(options, "Be nice.").answer("Tim had a dog.").text, first.text);
  options.generate.sampler.seed = 4;
  EXPECT_NE(Talk(options, "Be nice.").answer("Tim had a dog.").text, first.text);
}

TEST(Conversation, GoesOnFromWhatWasSaved) {
  Talk talk;
  talk.answer("Tim had a dog.");
  const auto saved = answer::parse_transcript(answer::format_transcript(talk->transcript()));
  ASSERT_OK(saved);
  Talk other;
  ASSERT_OK(other->restore(*saved));
  EXPECT_EQ(other.answer("Amy had a cat.").text, talk.answer("Amy had a cat.").text);
}

TEST(Conversation, StopsBeforeATextAcrossTokens) {
  const std::string plain = Talk(Talk::greedy(12)).answer("Tim had a dog.").text;
  // The middle of the answer, which is some tokens long.
  const std::string stop = plain.substr(plain.size() / 3, plain.size() / 3);
  Options options = Talk::greedy(12);
  options.stops = *text::StopTexts::create({stop});
  Talk talk(options);
  const Answer answer = talk.answer("Tim had a dog.");
  EXPECT_EQ(answer.text, plain.substr(0, plain.find(stop)));
  EXPECT_EQ(answer.generation.reason, StopReason::StopText);
  EXPECT_LT(answer.generation.tokens.size(), 12u);
  EXPECT_EQ(talk->transcript().messages.back().content, answer.text);
}

TEST(Conversation, EndsAtAStopToken) {
  const auto tokens = Talk().answer("Tim had a dog.").generation.tokens;
  Options options = Talk::greedy(12);
  options.generate.stop_tokens = {tokens[5]};
  const Answer answer = Talk(options).answer("Tim had a dog.");
  EXPECT_EQ(answer.generation.reason, StopReason::StopToken);
  EXPECT_LE(answer.generation.tokens.size(), 6u);
}

TEST(Conversation, KeepsACancelledAnswerAsFarAsItCame) {
  Talk talk;
  int pieces = 0;
  const auto answer =
      talk->ask({{Role::User, "Tim had a dog."}}, [&](const Piece&) { return ++pieces < 3; });
  ASSERT_OK(answer);
  EXPECT_EQ(answer->generation.reason, StopReason::Cancelled);
  EXPECT_EQ(answer->generation.tokens.size(), 3u);
  EXPECT_EQ(talk->transcript().messages.back().content, answer->text);
}

TEST(Conversation, ForgetsAMessageCancelledBeforeItsAnswer) {
  Options options = Talk::greedy(12);
  int asked = 0;
  options.generate.cancelled = [&] { return ++asked == 1; };
  Talk talk(options);
  const std::string message = "Tim had a dog. Tim had a cat. Tim had a boat.";
  const auto answer = talk.ask(message);
  ASSERT_OK(answer);
  EXPECT_EQ(answer->generation.reason, StopReason::Cancelled);
  EXPECT_TRUE(answer->text.empty());
  EXPECT_TRUE(talk->transcript().messages.empty());
  EXPECT_EQ(talk.answer(message).text, Talk().answer(message).text);
}

TEST(Conversation, TellsLogprobsOfEachToken) {
  Options options = Talk::greedy(6);
  options.generate.logprobs = 3;
  const Answer answer = Talk(options).answer("Tim had a dog.");
  ASSERT_EQ(answer.generation.logprobs.size(), answer.generation.tokens.size());
  for (size_t i = 0; i < answer.generation.tokens.size(); ++i) {
    const generate::TokenLogprobs& found = answer.generation.logprobs[i];
    ASSERT_EQ(found.best.size(), 3u);
    EXPECT_EQ(found.best[0].token, answer.generation.tokens[i]);
    EXPECT_EQ(found.best[0].logprob, found.chosen);
    EXPECT_LE(found.best[1].logprob, found.chosen);
  }
}

TEST(Conversation, GoesOnFromTheResultsOfTools) {
  Transcript asked{{{Role::User, "Tim?"}, {Role::Assistant, "", {{"1", "find", "{}"}}}}};
  Talk talk;
  ASSERT_OK(talk->restore(asked));
  const auto silent = [](const Piece&) { return true; };
  const std::vector<Message> results = {{Role::Tool, "Tim had a dog.", {}, "1", "find"},
                                        {Role::Tool, "Tim had a cat."}};
  const auto answer = talk->ask(results, silent);
  ASSERT_OK(answer);
  EXPECT_EQ(answer->forgotten_turns, 0u);
  Transcript expected = asked;
  expected.messages.insert(expected.messages.end(), results.begin(), results.end());
  expected.messages.push_back({Role::Assistant, answer->text});
  EXPECT_EQ(talk->transcript(), expected);
  EXPECT_FALSE(talk->ask(results, silent));  // none was called
  EXPECT_FALSE(talk->ask({}, silent));
  EXPECT_EQ(talk->transcript(), expected);
  talk.answer("Amy had a cat.");
  EXPECT_TRUE(talk->undo());
  EXPECT_EQ(talk->transcript(), expected);
  EXPECT_TRUE(talk->undo());
  EXPECT_EQ(talk->transcript(), Transcript());
}

// --- When the context is full ---

const std::string kMessage = "Tim had a big red dog and a small blue cat.";

Options on_full(OnFull choice, int64_t max_tokens = 12) {
  Options options = Talk::greedy(max_tokens);
  options.on_full = choice;
  return options;
}

// Prompt and answer together did not fit: turns were forgotten while it was given. (The last token
// of an answer needs no place.)
bool forgot_within(const Answer& answer) {
  return answer.prompt_tokens + answer.generation.tokens.size() > kContext + 1;
}

TEST(OnFull, StopRefusesTheMessageWithBothNumbers) {
  Talk talk(on_full(OnFull::Stop));
  Result<Answer> answer = talk.ask(kMessage);
  for (int i = 0; answer && i < 20; ++i) answer = talk.ask(kMessage);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("the conversation with this message is "));
  EXPECT_THAT(answer.error().message, HasSubstr("tokens long, the context 96"));
  EXPECT_EQ(answer.error().hint, Hint{Advice::ForgetTurns});
  const int64_t position = talk.session().position();
  const Transcript before = talk->transcript();
  EXPECT_FALSE(talk.ask(kMessage));
  EXPECT_EQ(talk.session().position(), position);  // nothing was computed
  EXPECT_EQ(talk->transcript(), before);
  ASSERT_TRUE(talk->undo());
  EXPECT_TRUE(talk.ask("Hi."));
}

TEST(OnFull, StopEndsAnAnswerThatFillsTheContext) {
  Talk talk(on_full(OnFull::Stop, 500));
  const Answer answer = talk.answer(kMessage);
  EXPECT_EQ(answer.generation.reason, StopReason::ContextFull);
  EXPECT_EQ(talk.session().position(), kContext);
}

TEST(OnFull, SlideForgetsTheOldestTurnsAndKeepsTheSystemPrompt) {
  Talk talk(on_full(OnFull::Slide), "Be nice.");
  Transcript all{{{Role::System, "Be nice."}}};
  size_t forgotten = 0, compared = 0;
  for (int i = 0; i < 8; ++i) {
    const Transcript before = talk->transcript();
    const std::string message = fmt::format("{} {}", i, kMessage);
    const Answer answer = talk.answer(message);
    all.messages.push_back({Role::User, message});
    all.messages.push_back({Role::Assistant, answer.text});
    forgotten += answer.forgotten_turns;
    EXPECT_LT(forgotten, all.turns());
    EXPECT_EQ(answer.generation.tokens.size(), 12u);
    Transcript left = all;
    left.drop_oldest(forgotten);
    EXPECT_EQ(talk->transcript(), left);
    // As a conversation that never had the forgotten turns, where they went before the answer.
    if (answer.forgotten_turns == 0 || forgot_within(answer)) continue;
    Transcript rest = before;
    rest.drop_oldest(answer.forgotten_turns);
    Talk fresh(on_full(OnFull::Slide), "Be nice.");
    ASSERT_OK(fresh->restore(rest));
    EXPECT_EQ(fresh.answer(message).text, answer.text);
    ++compared;
  }
  EXPECT_GT(forgotten, 2u);
  EXPECT_GT(compared, 0u);
}

TEST(OnFull, SlideGoesOnWithinAnAnswer) {
  Talk talk(on_full(OnFull::Slide, 40));
  size_t within = 0;  // answers during which turns were forgotten
  for (int i = 0; i < 8; ++i) {
    const Answer answer = talk.answer("Tim had a dog.");
    EXPECT_EQ(answer.generation.tokens.size(), 40u);
    EXPECT_EQ(answer.generation.reason, StopReason::MaxTokens);
    EXPECT_EQ(talk->transcript().messages.back().content, answer.text);
    within += forgot_within(answer);
    EXPECT_TRUE(!forgot_within(answer) || answer.forgotten_turns > 0);
  }
  EXPECT_GT(within, 0u);
}

TEST(OnFull, ResetForgetsAllTurnsBefore) {
  Talk talk(on_full(OnFull::Reset), "Be nice.");
  Answer answer = talk.answer(kMessage);
  size_t before = 0;
  while (answer.forgotten_turns == 0 && before < 10) {
    before = talk->transcript().turns();
    answer = talk.answer(kMessage);
  }
  EXPECT_EQ(answer.forgotten_turns, before);
  EXPECT_EQ(talk->transcript().turns(), 1u);
  EXPECT_EQ(talk->transcript().messages[0], (Message{Role::System, "Be nice."}));
}

TEST(OnFull, AMessageLongerThanTheContextIsRefusedWhateverTheChoice) {
  std::string message;
  for (int i = 0; i < 20; ++i) message += kMessage + " ";
  for (const OnFull choice : {OnFull::Stop, OnFull::Slide, OnFull::Reset}) {
    Talk talk(on_full(choice));
    talk.answer("Hi.");
    const int64_t position = talk.session().position();
    const auto answer = talk.ask(message);
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().message, HasSubstr("tokens long, the context 96"));
    EXPECT_EQ(talk.session().position(), position);
    EXPECT_EQ(talk->transcript().turns(), 1u);
  }
  const auto alone = Talk().ask(message);
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().message, HasSubstr("the message is "));
  EXPECT_EQ(alone.error().hint, Hint{Advice::LongerContext});
}

TEST(OnFull, AnAnswerThatFillsTheContextAloneEndsThere) {
  for (const OnFull choice : {OnFull::Slide, OnFull::Reset}) {
    Talk talk(on_full(choice, 500));
    EXPECT_EQ(talk.answer(kMessage).generation.reason, StopReason::ContextFull);
    EXPECT_EQ(talk.answer(kMessage).forgotten_turns, 1u);
  }
}

// --- What cannot work ---

std::string error_of(const char* chat_template, Options options = {}) {
  auto session = *generate::Session::create(
      *runtime::Program::open(model_path(), {engine::Numerics::Fast, 1}));
  const auto tokenizer = *text::open_tokenizer(testing::source_path("demo/tokenizer.model"));
  const auto parsed = jinja::ChatTemplate::parse(chat_template);
  if (!parsed) return parsed.error().to_string();
  const auto conversation =
      Conversation::create(*session, *tokenizer, *parsed, "Be nice.", std::move(options));
  EXPECT_EQ(session->position(), 0);
  return conversation ? "" : conversation.error().to_string();
}

TEST(Conversation, RefusesTemplatesThatItCannotRun) {
  EXPECT_EQ(error_of(kTemplate), "");
  EXPECT_THAT(error_of("{{ messages | urlencode }}"), HasSubstr("\"urlencode\""));
  EXPECT_THAT(error_of("{% for m in messages %}{% if m.role == 'assistant' %}"
                       "{{ m.content.casefold() }}{% endif %}{% endfor %}"),
              HasSubstr("casefold"));
  EXPECT_THAT(error_of("{% if messages[0].role == 'system' %}"
                       "{{ raise_exception('no system role here') }}{% endif %}"),
              HasSubstr("no system role here"));
  EXPECT_THAT(error_of("{% for a in range(100000) %}{% for b in range(100000) %}"
                       "{% endfor %}{% endfor %}"),
              HasSubstr("chat template"));
  EXPECT_THAT(error_of("{% if false %}{% endif %}"), HasSubstr("writes nothing"));
}

TEST(Conversation, RefusesImpossibleOptions) {
  Options options;
  options.generate.sampler.logit_bias = {{1024, 1.0}};
  EXPECT_THAT(error_of(kTemplate, options), HasSubstr("outside the vocabulary"));
}

TEST(Conversation, RefusesARestoredConversationThatTheTemplateDoesNotTake) {
  Talk talk(Talk::greedy(5), "",
            "{% for m in messages %}{% if m.content == 'bad' %}{{ raise_exception('bad') }}"
            "{% endif %}{{ m.content }}{% endfor %}");
  talk.answer("good");
  const Transcript before = talk->transcript();
  EXPECT_FALSE(talk->restore({{{Role::User, "bad"}, {Role::Assistant, "x"}}}));
  EXPECT_FALSE(talk.ask("bad"));
  EXPECT_EQ(talk->transcript(), before);
}

}  // namespace
}  // namespace diptych::chat
