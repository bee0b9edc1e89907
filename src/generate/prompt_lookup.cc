#include "generate/prompt_lookup.h"

#include <algorithm>
#include <array>

namespace diptych::generate {

namespace {

// Fewer tokens in a row are the same too often by chance.
constexpr size_t kShortestMatch = 2;
// Matches of fewer tokens than these are of a kind each.
constexpr std::array<size_t, 3> kKinds = {3, 5, 9};
constexpr size_t kLongestMatch = kKinds.back();

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

size_t PromptLookup::kinds() const { return kKinds.size() + 1; }

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
  draft.kind = static_cast<size_t>(
      std::count_if(kKinds.begin(), kKinds.end(), [&](size_t least) { return length >= least; }));
  // What repeats up to the end goes on repeating.
  for (size_t i = 0; i < static_cast<size_t>(most); ++i) {
    const size_t at = end + i;
    draft.tokens.push_back(at < context.size() ? context[at] : draft.tokens[at - context.size()]);
  }
  return draft;
}

}  // namespace diptych::generate
