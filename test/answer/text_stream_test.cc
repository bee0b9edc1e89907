// Streams of text, from tokens that a test makes up and from those of a model whose logits it
// knows (generate/tiny_model.h).
#include "answer/text_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "generate/tiny_model.h"
#include "testing/shared_data.h"
#include "text/tokenizer_files.h"
#include "text/utf8.h"

namespace diptych::answer {
namespace {

using generate::StopReason;
using ::testing::ElementsAre;

// Ids 0 … 255 are the bytes, 256 … 258 are "ab", the first two bytes of a euro sign, and its last
// one with "!".
const text::Tokenizer& bytes() {
  static const auto kTokenizer =
      text::read_tokenizer(as_bytes(text::testing::rank_file({"ab", "\xE2\x82", "\xAC!"}))).value();
  return *kTokenizer;
}

std::vector<int64_t> ids_of(std::string_view text) {
  std::vector<int64_t> ids;
  for (const char c : text) ids.push_back(static_cast<uint8_t>(c));
  return ids;
}

struct Streamed {
  std::vector<std::string> pieces;  // of the tokens; the end's, if any, is the last one
  size_t tokens = 0;                // taken
  Answer answer;
};

Streamed stream(const std::vector<int64_t>& ids, std::vector<std::string> stops) {
  Streamed result;
  TextStream stream(&bytes(), text::StopTexts::create(std::move(stops)).value(),
                    [&](const Piece& piece) {
                      EXPECT_EQ(text::valid_utf8_prefix(piece.text), piece.text.size());
                      if (piece.token) {
                        EXPECT_EQ(*piece.token, ids[result.tokens++]);
                      }
                      result.pieces.emplace_back(piece.text);
                      return true;
                    });
  for (const int64_t id : ids) {
    if (!stream.add({id})) break;
  }
  result.answer = stream.finish();
  std::string all;
  for (const std::string& piece : result.pieces) all += piece;
  EXPECT_EQ(result.answer.text, all);
  return result;
}

TEST(TextStream, GivesOutWholeCharacters) {
  const Streamed streamed = stream({'a', 257, 258, 0xC3}, {});
  EXPECT_THAT(streamed.pieces, ElementsAre("a", "", "\xE2\x82\xAC!", "", "\xEF\xBF\xBD"));
  EXPECT_NE(streamed.answer.generation.reason, StopReason::StopText);
}

TEST(TextStream, HoldsBackWhatMayBeginAStopText) {
  const Streamed streamed = stream(ids_of("xSTxSTOPyy"), {"STOP"});
  EXPECT_THAT(streamed.pieces, ElementsAre("x", "", "", "STx", "", "", "", ""));
  EXPECT_EQ(streamed.tokens, 8u);
  EXPECT_EQ(streamed.answer.text, "xSTx");
  EXPECT_EQ(streamed.answer.generation.reason, StopReason::StopText);
}

TEST(TextStream, GivesOutAtTheEndWhatWasNoStopText) {
  const Streamed streamed = stream(ids_of("xST"), {"STOP"});
  EXPECT_THAT(streamed.pieces, ElementsAre("x", "", "", "ST"));
  EXPECT_NE(streamed.answer.generation.reason, StopReason::StopText);
}

TEST(TextStream, FindsAStopTextWithinAToken) {
  const Streamed streamed = stream({'x', 256, 'y'}, {"b"});
  EXPECT_THAT(streamed.pieces, ElementsAre("x", "a"));
  EXPECT_EQ(streamed.answer.generation.reason, StopReason::StopText);
}

// Tokens end within the characters of the stop text, and characters that share its first bytes come
// before it.
TEST(TextStream, FindsAStopTextAcrossPartsOfCharacters) {
  const Streamed streamed = stream({257, 0xAD, 'c', 257, 258, 'z'}, {"\xE2\x82\xAC!"});
  EXPECT_THAT(streamed.pieces, ElementsAre("", "\xE2\x82\xAD", "c", "", ""));
  EXPECT_EQ(streamed.answer.text,
            "\xE2\x82\xAD"
            "c");
  EXPECT_EQ(streamed.answer.generation.reason, StopReason::StopText);
}

TEST(TextStream, TheStopTextThatIsCompleteFirstCounts) {
  EXPECT_EQ(stream(ids_of("1, 2; 3"), {"; 3", ", 2;"}).answer.text, "1");
  EXPECT_EQ(stream(ids_of("1, 2; 3"), {"; 3", "4"}).answer.text, "1, 2");
  EXPECT_EQ(stream(ids_of("1, 2; 3"), {"2", ", 2"}).answer.text, "1");
}

// What an incomplete character at the end becomes may complete a stop text.
TEST(TextStream, FindsAStopTextAtTheVeryEnd) {
  const Streamed streamed = stream({'a', 0xC3}, {"a\xEF\xBF\xBD"});
  EXPECT_EQ(streamed.answer.text, "");
  EXPECT_EQ(streamed.answer.generation.reason, StopReason::StopText);
}

TEST(TextStream, GoesOnAfterAPrompt) {
  const auto tokenizer = text::open_tokenizer(testing::source_path("demo/tokenizer.model")).value();
  ASSERT_TRUE(tokenizer->drops_leading_space());
  const auto ids = tokenizer->encode("Once upon", true).value();
  for (const bool after_prompt : {false, true}) {
    TextStream stream(tokenizer.get(), {}, [](const Piece&) { return true; });
    if (after_prompt) {
      EXPECT_EQ(stream.begin_after(std::vector<int64_t>(ids.begin(), ids.end())), "Once upon");
    }
    for (const text::TokenId id : ids) stream.add({id});
    EXPECT_EQ(stream.finish().text, after_prompt ? " Once upon" : "Once upon");
  }
}

TEST(TextStream, WithoutATokenizerPiecesAreTokens) {
  std::vector<int64_t> seen;
  TextStream stream(nullptr, {}, [&](const Piece& piece) {
    EXPECT_EQ(piece.text, "");
    seen.push_back(piece.token.value());
    return seen.size() < 2;
  });
  EXPECT_EQ(stream.begin_after(ids_of("abc")), "");
  EXPECT_TRUE(stream.add({5}));
  EXPECT_FALSE(stream.add({7}));
  stream.finish();
  EXPECT_THAT(seen, ElementsAre(5, 7));
}

// --- With a model ---

class Streams : public ::testing::Test {
 protected:
  void SetUp() override {
    using contract::method_of, contract::Role;
    auto program = generate::tiny_program({method_of(Role::Decode, 1), method_of(Role::Prefill, 8)},
                                          generate::kTinyContext - 1);
    ASSERT_OK(program);
    auto session = generate::Session::create(*program);
    ASSERT_OK(session);
    session_ = std::move(*session);
  }

  // The answer to the prompt, of which `on_piece` says whether it goes on.
  Answer answer(
      const generate::GenerateOptions& options, std::vector<std::string> stops = {},
      const TextStream::OnPiece& on_piece = [](const Piece&) { return true; }) {
    session_->rewind(0);
    TextStream stream(&bytes(), text::StopTexts::create(std::move(stops)).value(), on_piece);
    generate::Sampler sampler(options.sampler);
    const Status status = stream.generate(*session_, prompt_, options, sampler);
    EXPECT_TRUE(status) << status.error().to_string();
    return stream.finish();
  }

  static generate::GenerateOptions at_most(int64_t tokens) {
    generate::GenerateOptions options;
    options.max_tokens = tokens;
    return options;
  }

  std::vector<int64_t> prompt_ = {1, 2, 3};
  std::unique_ptr<generate::Session> session_;
};

TEST_F(Streams, SayWhyTheyEnd) {
  const Answer five = answer(at_most(5));
  const std::vector<int64_t>& tokens = five.generation.tokens;
  ASSERT_EQ(tokens.size(), 5u);
  EXPECT_EQ(five.generation.reason, StopReason::MaxTokens);

  generate::GenerateOptions options = at_most(5);
  options.stop_tokens = {tokens[1]};
  const Answer stopped = answer(options);
  EXPECT_EQ(stopped.generation.reason, StopReason::StopToken);
  EXPECT_EQ(stopped.generation.tokens.back(), tokens[1]);

  // A stop text that the last token completes is the reason, not the limit.
  const std::string last(1, static_cast<char>(tokens[1]));
  const Answer at_text = answer(at_most(2), {last});
  EXPECT_EQ(at_text.generation.reason, StopReason::StopText);
  EXPECT_EQ(at_text.text.find(last), std::string::npos);

  const Answer full = answer(at_most(1000));
  EXPECT_EQ(full.generation.reason, StopReason::ContextFull);
  EXPECT_EQ(full.generation.tokens.size(),
            static_cast<size_t>(generate::kTinyContext) - prompt_.size() + 1);

  size_t pieces = 0;
  const Answer cancelled = answer(at_most(5), {}, [&](const Piece&) { return ++pieces < 3; });
  EXPECT_EQ(cancelled.generation.reason, StopReason::Cancelled);
  EXPECT_EQ(cancelled.generation.tokens.size(), 3u);

  options = at_most(5);  // asked between the calls for a prompt that needs two
  options.cancelled = [] { return true; };
  prompt_.resize(10, 1);
  const Answer before = answer(options);
  EXPECT_EQ(before.generation.reason, StopReason::Cancelled);
  EXPECT_TRUE(before.generation.tokens.empty());
}

TEST_F(Streams, TellLogprobsWithEachPiece) {
  generate::GenerateOptions options = at_most(4);
  options.logprobs = 3;
  std::vector<generate::TokenLogprobs> told;
  const Answer found = answer(options, {}, [&](const Piece& piece) {
    if (piece.token) told.push_back(*piece.logprobs);
    return true;
  });
  ASSERT_EQ(told.size(), 4u);
  ASSERT_EQ(found.generation.logprobs.size(), 4u);
  std::vector<int64_t> history = prompt_;
  for (size_t i = 0; i < told.size(); ++i) {
    const std::vector<float> logits = generate::tiny_logits(history);
    const double largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double{logit} - largest);
    const auto logprob = [&](int64_t token) {
      return double{logits[static_cast<size_t>(token)]} - largest - std::log(sum);
    };
    const int64_t token = found.generation.tokens[i];
    EXPECT_NEAR(told[i].chosen, logprob(token), 1e-9);
    ASSERT_EQ(told[i].best.size(), 3u);
    for (const generate::TokenLogprob& entry : told[i].best) {
      EXPECT_NEAR(entry.logprob, logprob(entry.token), 1e-9);
      EXPECT_LE(entry.logprob, told[i].chosen);  // it was greedy
    }
    EXPECT_EQ(found.generation.logprobs[i].chosen, told[i].chosen);
    history.push_back(token);
  }

  answer(at_most(4), {}, [](const Piece& piece) {
    EXPECT_EQ(piece.logprobs, nullptr);
    return true;
  });
}

// An answer in two parts, as when turns are forgotten in between, is one.
TEST_F(Streams, GoOnAfterTheSessionWasRewound) {
  const Answer whole = answer(at_most(6));
  TextStream stream(&bytes(), {}, [](const Piece&) { return true; });
  generate::Sampler sampler({});
  session_->rewind(0);
  ASSERT_OK(stream.generate(*session_, prompt_, at_most(4), sampler));
  std::vector<int64_t> prompt = prompt_;
  const std::vector<int64_t>& tokens = stream.generation().tokens;
  prompt.insert(prompt.end(), tokens.begin(), tokens.end());
  session_->rewind(0);
  ASSERT_OK(stream.generate(*session_, prompt, at_most(6), sampler));
  const Answer parts = stream.finish();
  EXPECT_EQ(parts.text, whole.text);
  EXPECT_EQ(parts.generation.tokens, whole.generation.tokens);
  EXPECT_EQ(parts.generation.reason, StopReason::MaxTokens);
  EXPECT_EQ(parts.generation.decode_steps, 4u);
}

}  // namespace
}  // namespace diptych::answer
