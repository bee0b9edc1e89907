// The keys and values of evaluated tokens, as the methods of a model take them. The cache is the
// caller's by the contract; all methods of a file share it.
//
// The policy is upstream's "smart mask": token p lies in slot p. Only real tokens are written,
// never padding.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/zeroed_memory.h"
#include "contract/reader.h"

namespace diptych::generate {

// The new keys and values that a call left, by layer: [kv_heads, T, head_dim].
struct FreshRows {
  int64_t tokens = 0;  // T
  std::vector<std::vector<std::byte>> keys, values;
};

class KvCache {
 public:
  // Slots start at zero: what masks hide must be finite. Errors: a cache that does not fit memory.
  static Result<KvCache> create(const contract::Description& model);

  // Tokens in the cache: those of positions 0 to tokens() - 1.
  int64_t tokens() const { return tokens_; }
  // How many more fit.
  int64_t room() const { return most_ - tokens_; }

  // What a method takes for a layer: [kv_heads, C, head_dim].
  Bytes keys(size_t layer) const { return keys_[layer]; }
  Bytes values(size_t layer) const { return values_[layer]; }

  // Adds row `row` of a call as the next token; there must be room.
  void append(const FreshRows& fresh, int64_t row);
  // Forgets the tokens from `position` on, which is at most tokens().
  void rewind(int64_t position) { tokens_ = position; }

 private:
  KvCache() = default;

  contract::Model model_;
  int64_t most_ = 0, tokens_ = 0;
  ZeroedMemory memory_;
  std::vector<MutableBytes> keys_, values_;  // by layer
};

}  // namespace diptych::generate
