#include "answer/constraint.h"

#include <algorithm>

#include "grammar/token_matcher.h"

namespace diptych::answer {

namespace {

class Constraint : public generate::TokenFilter {
 public:
  Constraint(const text::Tokenizer& tokenizer, grammar::TokenMatcher matcher,
             const std::set<int64_t>& stop_ids)
      : tokenizer_(tokenizer), matcher_(std::move(matcher)), stop_ids_(stop_ids) {}

  Result<std::span<const uint64_t>> allowed() override {
    const std::span<const uint64_t> bytes = TRY(matcher_.allowed());
    allowed_.assign(bytes.begin(), bytes.end());
    for (const int64_t id : stop_ids_) {
      const auto index = static_cast<size_t>(id);
      if (id < 0 || index / 64 >= allowed_.size()) continue;
      const uint64_t bit = uint64_t{1} << (index % 64);
      allowed_[index / 64] &= ~bit;
      if (matcher_.may_end()) allowed_[index / 64] |= bit;
    }
    if (std::all_of(allowed_.begin(), allowed_.end(), [](uint64_t word) { return word == 0; })) {
      return invalid_argument("no token of the vocabulary goes on with a text of the grammar");
    }
    return allowed_;
  }
  void accept(int64_t token) override {
    if (stop_ids_.contains(token)) return;
    matcher_.accept(tokenizer_.piece(static_cast<text::TokenId>(token)));
  }
  bool complete() const override { return matcher_.may_end() && !matcher_.goes_on(); }

 private:
  const text::Tokenizer& tokenizer_;
  grammar::TokenMatcher matcher_;
  std::set<int64_t> stop_ids_;
  std::vector<uint64_t> allowed_;
};

}  // namespace

std::shared_ptr<const grammar::TokenTrie> token_trie(const OpenedModel& model) {
  std::vector<std::string_view> pieces(static_cast<size_t>(model.vocab_size()));
  for (size_t id = 0; id < pieces.size(); ++id) {
    pieces[id] = model.tokenizer()->piece(static_cast<text::TokenId>(id));
  }
  return std::make_shared<const grammar::TokenTrie>(pieces);
}

std::unique_ptr<generate::TokenFilter> constrain(
    const OpenedModel& model, std::shared_ptr<const grammar::Automaton> automaton,
    std::shared_ptr<const grammar::TokenTrie> trie, const std::set<int64_t>& stop_ids) {
  return std::make_unique<Constraint>(
      *model.tokenizer(), grammar::TokenMatcher(std::move(automaton), std::move(trie)), stop_ids);
}

}  // namespace diptych::answer
