// Which tokens may come next so that a text stays one of a grammar.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/matcher.h"
#include "grammar/token_trie.h"

namespace diptych::grammar {

class TokenMatcher {
 public:
  TokenMatcher(std::shared_ptr<const Automaton> automaton, std::shared_ptr<const TokenTrie> trie);

  // A bit for each token: all of its bytes may come next. Valid until the next call. Errors: the
  // grammar is so ambiguous that finding out takes too long.
  Result<std::span<const uint64_t>> allowed();
  // The bytes of a token that was allowed.
  void accept(std::string_view bytes);

  bool may_end() const { return matcher_.accepts(at_); }
  bool goes_on() const { return matcher_.goes_on(at_); }  // bytes may follow

 private:
  using Mask = std::vector<uint64_t>;
  Result<Mask> compute();

  std::shared_ptr<const TokenTrie> trie_;
  Matcher matcher_;
  Matcher::Config at_;
  std::unordered_map<Matcher::Config, Mask> masks_;  // those found so far
  std::vector<Matcher::Config> path_;                // by depth
};

}  // namespace diptych::grammar
