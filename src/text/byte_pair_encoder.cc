#include "text/byte_pair_encoder.h"

#include <algorithm>
#include <climits>

namespace diptych::text {

namespace {

// A merge that was possible when it was seen: [start, end) of the word is a token of rank `id`.
struct Merge {
  TokenId id;
  uint32_t start, end;

  // For a heap with the lowest rank, then the leftmost, on top.
  bool operator<(const Merge& other) const {
    return id != other.id ? id > other.id : start > other.start;
  }
};

}  // namespace

Result<BytePairEncoder> BytePairEncoder::build(const std::vector<std::string_view>& tokens) {
  BytePairEncoder encoder(TRY(Vocabulary::build(tokens)));
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    if (encoder.find({&c, 1}) == kNoToken) {
      return invalid_data("no token for byte {:#04x}: expected all 256 bytes among the {} tokens",
                          byte, tokens.size());
    }
  }
  return encoder;
}

void BytePairEncoder::encode(std::string_view word, std::vector<TokenId>& ids) const {
  if (const TokenId whole = find(word); whole != kNoToken) {
    ids.push_back(whole);
    return;
  }
  // The word's parts form a doubly linked list over the offsets where they start.
  const auto size = static_cast<uint32_t>(word.size());
  constexpr uint32_t kMergedAway = UINT_MAX;
  std::vector<uint32_t> next(size + 1), previous(size + 1);
  for (uint32_t i = 0; i <= size; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  std::vector<Merge> heap;
  const auto consider = [&](uint32_t start) {
    if (next[start] >= size) return;
    const uint32_t end = next[next[start]];
    const TokenId id = find(word.substr(start, end - start));
    if (id == kNoToken) return;
    heap.push_back({id, start, end});
    std::push_heap(heap.begin(), heap.end());
  };
  for (uint32_t start = 0; start < size; ++start) consider(start);

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Merge merge = heap.back();
    heap.pop_back();
    // Only a pair of parts that is still there; what merged meanwhile has other ends.
    const uint32_t middle = next[merge.start];
    if (middle == kMergedAway || middle >= size || next[middle] != merge.end) continue;
    next[merge.start] = merge.end;
    next[middle] = kMergedAway;
    previous[merge.end] = merge.start;
    consider(merge.start);
    if (merge.start > 0) consider(previous[merge.start]);
  }
  for (uint32_t start = 0; start < size; start = next[start]) {
    ids.push_back(find(word.substr(start, next[start] - start)));
  }
}

}  // namespace diptych::text
