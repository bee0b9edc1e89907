// A vocabulary's tokens by their bytes, as a tree in one array, so that a grammar is asked about
// beginnings that many tokens share once.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace diptych::grammar {

class TokenTrie {
 public:
  // pieces[id]: a token's bytes; tokens without any are left out.
  explicit TokenTrie(const std::vector<std::string_view>& pieces);

  // Nodes in the order of a walk that goes down first: a node stands before all that begin with it.
  struct Node {
    uint8_t byte = 0;     // the last one
    uint16_t depth = 0;   // bytes so far, from 1 on
    uint32_t end = 0;     // the first node behind those that begin so
    uint32_t tokens = 0;  // the first of its tokens, in tokens(); they go on to the next node's
  };
  const std::vector<Node>& nodes() const { return nodes_; }
  // The ids of node i's tokens are at [nodes()[i].tokens, tokens_end(i)).
  const std::vector<uint32_t>& tokens() const { return tokens_; }
  size_t tokens_end(size_t node) const {
    return node + 1 < nodes_.size() ? nodes_[node + 1].tokens : tokens_.size();
  }
  size_t vocab_size() const { return vocab_size_; }
  size_t longest() const { return longest_; }  // in bytes

 private:
  size_t vocab_size_, longest_ = 0;
  std::vector<Node> nodes_;
  std::vector<uint32_t> tokens_;
};

}  // namespace diptych::grammar
