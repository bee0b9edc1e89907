#include "grammar/token_matcher.h"

#include <gtest/gtest.h>

#include <random>

#include "grammar/gbnf.h"
#include "grammar/matcher.h"
#include "testing/shared_data.h"

namespace diptych::grammar {
namespace {

std::vector<std::string> random_vocabulary(size_t size) {
  std::mt19937 random(5);
  std::vector<std::string> words = {""};  // a special token
  for (int c = 0; c < 256; ++c) words.emplace_back(1, static_cast<char>(c));
  while (words.size() < size) {
    std::string word;
    for (size_t n = 1 + random() % 5; n > 0; --n) word += "ab\"{},:[]1 \xC3\xA9"[random() % 14];
    words.push_back(word);
  }
  return words;
}

TEST(TokenTrie, HoldsEveryToken) {
  const std::vector<std::string> words = random_vocabulary(2000);
  const TokenTrie trie(std::vector<std::string_view>(words.begin(), words.end()));
  std::vector<std::string> found(words.size());
  std::string path;
  for (size_t i = 0; i < trie.nodes().size(); ++i) {
    const TokenTrie::Node& node = trie.nodes()[i];
    path.resize(node.depth - 1u);
    path += static_cast<char>(node.byte);
    EXPECT_GT(node.end, i);
    for (size_t t = node.tokens; t < trie.tokens_end(i); ++t) found[trie.tokens()[t]] = path;
  }
  EXPECT_EQ(found, words);
}

// The mask is what trying each token by itself gives, along a random walk.
TEST(TokenMatcher, AllowsExactlyWhatGoesOn) {
  const std::vector<std::string> words = random_vocabulary(1200);
  const auto trie =
      std::make_shared<const TokenTrie>(std::vector<std::string_view>(words.begin(), words.end()));
  const auto automaton = parse_gbnf(R"(root ::= value
value ::= "{" (pair ("," pair)*)? "}" | "[" value* "]" | "\"" [ab\u00e9]* "\"" | "1"+
pair ::= "\"" [ab]+ "\":" " "? value)")
                             .value();
  std::mt19937 random(9);
  for (int walk = 0; walk < 8; ++walk) {
    TokenMatcher matcher(automaton, trie);
    std::string text;
    for (int step = 0; step < 15 && matcher.goes_on(); ++step) {
      const auto mask = matcher.allowed().value();
      std::vector<size_t> allowed;
      for (size_t id = 0; id < words.size(); ++id) {
        Matcher plain(automaton);
        Matcher::Config at = plain.start();
        for (const char c : text + words[id]) at = plain.step(at, static_cast<uint8_t>(c));
        const bool bit = (mask[id / 64] >> (id % 64)) & 1;
        ASSERT_EQ(bit, at != Matcher::kDead && !words[id].empty()) << text << " + " << words[id];
        if (bit) allowed.push_back(id);
      }
      ASSERT_FALSE(allowed.empty());
      const size_t chosen = allowed[random() % allowed.size()];
      matcher.accept(words[chosen]);
      text += words[chosen];
    }
  }
}

// However many ways there are to read a text, the work is bounded.
TEST(TokenMatcher, AmbiguityEnds) {
  const std::vector<std::string> words = random_vocabulary(20000);
  const auto trie =
      std::make_shared<const TokenTrie>(std::vector<std::string_view>(words.begin(), words.end()));
  for (const char* source : {"root ::= ((([ab1]* [ab1]*){60} [ab1]*){60} x?){30}\nx ::= root",
                             "root ::= [^x] root? root? root? root? | [^y] root root",
                             "root ::= a a a a a a a a\na ::= ([^x]? a?){20} \"z\""}) {
    const auto automaton = parse_gbnf(source);
    if (!automaton) continue;
    TokenMatcher matcher(*automaton, trie);
    for (int i = 0; i < 20; ++i) {
      if (!matcher.allowed()) break;
      matcher.accept(i % 2 == 0 ? "a" : "b");
    }
  }
}

TEST(Matcher, ForgetsAndGoesOn) {
  const auto automaton = parse_gbnf("root ::= \"(\" root \")\" | \"x\"").value();
  Matcher matcher(automaton);
  Matcher::Config at = matcher.start();
  for (int i = 0; i < 100; ++i) {
    at = matcher.step(at, '(');
    if (i % 10 == 0) at = matcher.forget_all_but(at);
  }
  at = matcher.step(at, 'x');
  for (int i = 0; i < 100; ++i) {
    ASSERT_FALSE(matcher.accepts(at));
    if (i % 7 == 0) at = matcher.forget_all_but(at);
    at = matcher.step(at, ')');
  }
  EXPECT_TRUE(matcher.accepts(at));
  EXPECT_FALSE(matcher.goes_on(at));
}

}  // namespace
}  // namespace diptych::grammar
