// Drafts from the text so far: what followed the last time that it went as it goes now. Good where
// an answer repeats its prompt or itself: code that is edited, summaries with quotes, lists.
#pragma once

#include <unordered_map>

#include "generate/drafter.h"

namespace diptych::generate {

class PromptLookup : public Drafter {
 public:
  Status begin(std::span<const int64_t> context) override;
  Result<Draft> propose(std::span<const int64_t> context, int64_t most) override;
  void accept(size_t) override {}
  // The longer the match, the better the draft.
  size_t kinds() const override;
  bool is_free() const override { return true; }
  double expected_acceptance(size_t kind) const override;

 private:
  // Hashes of so many tokens in a row, and where the latest of them ends.
  using Index = std::unordered_map<uint64_t, size_t>;
  void index(std::span<const int64_t> context);

  Index latest_;
  size_t indexed_ = 0;  // tokens of the context whose ends are in the index
};

}  // namespace diptych::generate
