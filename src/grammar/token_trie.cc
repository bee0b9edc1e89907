#include "grammar/token_trie.h"

#include <algorithm>

namespace diptych::grammar {

TokenTrie::TokenTrie(const std::vector<std::string_view>& pieces) : vocab_size_(pieces.size()) {
  constexpr size_t kMostBytes = UINT16_MAX;
  std::vector<uint32_t> order;
  for (uint32_t id = 0; id < pieces.size(); ++id) {
    if (!pieces[id].empty() && pieces[id].size() <= kMostBytes) order.push_back(id);
  }
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return pieces[a] != pieces[b] ? pieces[a] < pieces[b] : a < b;
  });
  std::vector<uint32_t> open;  // the nodes of the present token's bytes
  const auto close = [&](size_t depth) {
    while (open.size() > depth) {
      nodes_[open.back()].end = static_cast<uint32_t>(nodes_.size());
      open.pop_back();
    }
  };
  std::string_view before;
  for (const uint32_t id : order) {
    const std::string_view piece = pieces[id];
    const auto differs = std::mismatch(before.begin(), before.end(), piece.begin(), piece.end());
    close(static_cast<size_t>(differs.first - before.begin()));
    while (open.size() < piece.size()) {
      const auto byte = static_cast<uint8_t>(piece[open.size()]);
      open.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back(
          {byte, static_cast<uint16_t>(open.size()), 0, static_cast<uint32_t>(tokens_.size())});
    }
    tokens_.push_back(id);
    longest_ = std::max(longest_, piece.size());
    before = piece;
  }
  close(0);
}

}  // namespace diptych::grammar
