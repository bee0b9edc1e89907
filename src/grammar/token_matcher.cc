#include "grammar/token_matcher.h"

namespace diptych::grammar {

namespace {

constexpr size_t kMostMasks = 512;
constexpr uint64_t kMostWork = 3'000'000;  // places of a mask: a fraction of a second

}  // namespace

TokenMatcher::TokenMatcher(std::shared_ptr<const Automaton> automaton,
                           std::shared_ptr<const TokenTrie> trie)
    : trie_(std::move(trie)),
      matcher_(std::move(automaton)),
      at_(matcher_.start()),
      path_(trie_->longest() + 1) {}

Result<TokenMatcher::Mask> TokenMatcher::compute() {
  const uint64_t before = matcher_.work();
  Mask mask((trie_->vocab_size() + 63) / 64);
  const std::vector<TokenTrie::Node>& nodes = trie_->nodes();
  const std::vector<uint32_t>& tokens = trie_->tokens();
  path_[0] = at_;
  for (size_t i = 0; i < nodes.size();) {
    if (matcher_.work() - before > kMostWork) {
      return unsupported("the grammar is too ambiguous to be followed");
    }
    const TokenTrie::Node& node = nodes[i];
    const Matcher::Config config = matcher_.step(path_[node.depth - 1], node.byte);
    if (config == Matcher::kDead) {
      i = node.end;
      continue;
    }
    path_[node.depth] = config;
    const size_t end = trie_->tokens_end(i);
    for (size_t t = node.tokens; t < end; ++t) {
      mask[tokens[t] / 64] |= uint64_t{1} << (tokens[t] % 64);
    }
    ++i;
  }
  return mask;
}

Result<std::span<const uint64_t>> TokenMatcher::allowed() {
  if (matcher_.is_full() || masks_.size() > kMostMasks) {
    at_ = matcher_.forget_all_but(at_);
    masks_.clear();
  }
  const auto found = masks_.find(at_);
  if (found != masks_.end()) return found->second;
  return masks_.emplace(at_, TRY(compute())).first->second;
}

void TokenMatcher::accept(std::string_view bytes) {
  for (const char byte : bytes) at_ = matcher_.step(at_, static_cast<uint8_t>(byte));
}

}  // namespace diptych::grammar
