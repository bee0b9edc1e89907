#include "generate/prompt_lookup.h"

#include <algorithm>
#include <array>

namespace diptych::generate {

namespace {

// Fewer tokens in a row than the first are the same too often by chance.
// Matches of so many tokens and more are of a kind each.
struct MatchKind {
  size_t least;
  double acceptance;  // about what such matches give in code and in text with quotes
};
constexpr std::array<MatchKind, 4> kKinds = {{{2, 0.5}, {3, 0.65}, {5, 0.8}, {9, 0.9}}};
constexpr size_t kShortestMatch = kKinds.front().least, kLongestMatch = kKinds.back().least;

uint64_t hash_of(std::span<const int64_t> tokens) {
  uint64_t hash = 0;
  for (const int64_t token : tokens) {
    hash = (hash ^ static_cast<uint64_t>(token)) * 0x9e3779b97f4a7c15U;
    hash ^= hash >> 29;
  }
  return hash;
}

// Tokens that are the same before two ends.
size_t match(std::span<const int64_t> context, size_t a, size_t b) {
  size_t length = 0;
  while (length < std::min({a, b, kLongestMatch}) &&
         context[a - 1 - length] == context[b - 1 - length]) {
    ++length;
  }
  return length;
}

}  // namespace

size_t PromptLookup::kinds() const { return kKinds.size(); }

double PromptLookup::expected_acceptance(size_t kind) const { return kKinds[kind].acceptance; }

Status PromptLookup::begin(std::span<const int64_t> context) {
  latest_.clear();
  indexed_ = 0;
  index(context);
  return {};
}

// All ends but the last, which is to be found again.
void PromptLookup::index(std::span<const int64_t> context) {
  for (size_t end = std::max(indexed_ + 1, kShortestMatch); end < context.size(); ++end) {
    latest_[hash_of(context.first(end).last(kShortestMatch))] = end;
    indexed_ = end;
  }
}

Result<Draft> PromptLookup::propose(std::span<const int64_t> context, int64_t most) {
  Draft draft;
  index(context);
  if (context.size() <= kShortestMatch || most < 1) return draft;
  const auto found = latest_.find(hash_of(context.last(kShortestMatch)));
  if (found == latest_.end()) return draft;
  const size_t end = found->second, length = match(context, end, context.size());
  if (length < kShortestMatch) return draft;  // another with that hash
  while (draft.kind + 1 < kKinds.size() && length >= kKinds[draft.kind + 1].least) ++draft.kind;
  // What repeats up to the end goes on repeating.
  for (size_t i = 0; i < static_cast<size_t>(most); ++i) {
    const size_t at = end + i;
    draft.tokens.push_back(at < context.size() ? context[at] : draft.tokens[at - context.size()]);
  }
  return draft;
}

}  // namespace diptych::generate
