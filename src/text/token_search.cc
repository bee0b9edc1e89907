#include "text/token_search.h"

#include <algorithm>
#include <bit>

namespace diptych::text {

TokenSearch::TokenSearch(const std::vector<std::string_view>& strings) : nodes_(kRoot + 1) {
  size_t bytes = 0, longest = 0;
  for (const std::string_view string : strings) {
    bytes += string.size();
    longest = std::max(longest, string.size());
  }
  edges_.resize(std::bit_ceil(2 * bytes + 2));
  // Level by level, so that edges come in the order of their depth.
  std::vector<uint32_t> at(strings.size(), kRoot), left(strings.size());
  for (uint32_t i = 0; i < strings.size(); ++i) left[i] = i;
  std::vector<uint64_t> edges_by_depth;
  for (size_t depth = 0; depth < longest; ++depth) {
    std::erase_if(left, [&](uint32_t i) { return strings[i].size() <= depth; });
    for (const uint32_t i : left) {
      const uint64_t key = key_of(at[i], strings[i][depth]);
      Edge& edge = edges_[slot_of(key)];
      if (edge.key == kNoEdge) {
        edge = {key, static_cast<uint32_t>(nodes_.size())};
        nodes_.emplace_back();
        edges_by_depth.push_back(key);
      }
      at[i] = edge.target;
      Node& node = nodes_[at[i]];
      if (depth + 1 == strings[i].size() && node.found == kNone) {
        node.found = i;
        node.size = static_cast<uint32_t>(depth + 1);
      }
    }
  }
  link_failures(edges_by_depth);
}

// What is found later than a string that ends at a node, and begins later, never counts before it:
// such nodes fail to kDead, and so does all that follows them.
void TokenSearch::link_failures(const std::vector<uint64_t>& edges_by_depth) {
  nodes_[kRoot].failure = kDead;
  for (const uint64_t key : edges_by_depth) {
    const auto parent = static_cast<uint32_t>(key >> 8);
    Node& node = nodes_[child(parent, static_cast<char>(key & 0xFF))];
    if (node.found != kNone) {
      node.failure = kDead;
      continue;
    }
    if (parent == kRoot) continue;
    node.failure = next(nodes_[parent].failure, static_cast<char>(key & 0xFF));
    const Node& suffix = nodes_[node.failure];
    node.found = suffix.found;
    node.size = suffix.size;
  }
}

size_t TokenSearch::slot_of(uint64_t key) const {
  const size_t mask = edges_.size() - 1;
  const uint64_t mixed = key * 0x9E3779B97F4A7C15u;  // 2^64 over the golden ratio
  size_t slot = static_cast<size_t>(mixed ^ mixed >> 32) & mask;
  while (edges_[slot].key != kNoEdge && edges_[slot].key != key) slot = (slot + 1) & mask;
  return slot;
}

uint32_t TokenSearch::child(uint32_t node, char byte) const {
  const Edge& edge = edges_[slot_of(key_of(node, byte))];
  return edge.key == kNoEdge ? kNone : edge.target;
}

uint32_t TokenSearch::next(uint32_t node, char byte) const {
  for (; node != kDead; node = nodes_[node].failure) {
    if (const uint32_t target = child(node, byte); target != kNone) return target;
    if (node == kRoot) return kRoot;
  }
  return kDead;
}

Result<std::optional<TokenSearch::Found>> TokenSearch::find(std::string_view text, size_t from,
                                                            Work& work) const {
  std::optional<Found> found;
  if (empty()) return found;
  uint32_t node = kRoot;
  size_t at = from;
  for (; at < text.size(); ++at) {
    node = next(node, text[at]);
    if (node == kDead) break;
    if (nodes_[node].found == kNone) continue;
    found = Found{at + 1 - nodes_[node].size, at + 1, nodes_[node].found};
  }
  TRY(work.take(at - from));
  return found;
}

}  // namespace diptych::text
