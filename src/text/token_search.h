// Finds strings of a fixed set in a text, all at once: an automaton of Aho and Corasick, whose work
// is linear in the text whatever the set is.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/work.h"

namespace diptych::text {

// Immutable once built.
class TokenSearch {
 public:
  // Strings that are empty are never found; of equal ones the first is.
  explicit TokenSearch(const std::vector<std::string_view>& strings = {});

  struct Found {
    size_t begin, end;  // bytes of the text
    uint32_t index;     // among the strings
  };
  // What comes first in text[from …): the leftmost, of those the longest. A step of `work` is a
  // byte that is looked at: where one string begins another, bytes behind what is found are among
  // them.
  Result<std::optional<Found>> find(std::string_view text, size_t from, Work& work) const;

  bool empty() const { return nodes_.size() <= kRoot + 1; }

 private:
  // States are the prefixes of the strings. In kDead nothing can be found any more that would count
  // before what has been found.
  static constexpr uint32_t kDead = 0, kRoot = 1, kNone = UINT32_MAX;
  struct Node {
    uint32_t failure = kRoot;  // the longest proper suffix that is a state too
    uint32_t found = kNone;    // the string that ends here
    uint32_t size = 0;         // of that string
  };
  struct Edge {
    uint64_t key = kNoEdge;  // node << 8 | byte
    uint32_t target = 0;
  };
  static constexpr uint64_t kNoEdge = ~uint64_t{0};

  static uint64_t key_of(uint32_t node, char byte) {
    return uint64_t{node} << 8 | static_cast<uint8_t>(byte);
  }
  size_t slot_of(uint64_t key) const;
  uint32_t child(uint32_t node, char byte) const;  // kNone when there is none
  uint32_t next(uint32_t node, char byte) const;   // follows failures
  void link_failures(const std::vector<uint64_t>& edges_by_depth);

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;  // open addressing, a power of two, at most half full
};

}  // namespace diptych::text
