// The keys and values of evaluated tokens, as the methods of a model take them. The cache is the
// caller's by the contract; all methods of a file share it.
//
// Layers without a window follow upstream's "smart mask": token p lies in slot p. Layers with one
// keep the latest tokens, as row_ring.h says. Only real tokens are written, never padding.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/stream.h"
#include "base/zeroed_memory.h"
#include "contract/reader.h"
#include "generate/row_ring.h"

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

  // What a method takes for a layer: [kv_heads, C, head_dim]. Of layers with a window it lies
  // elsewhere after each append() and rewind(), of others it stays.
  Bytes keys(size_t layer) const;
  Bytes values(size_t layer) const;
  std::span<const size_t> layers_with_window() const { return windowed_; }
  // The position of the token in the first slot, or what it would be: negative where the slots
  // have room.
  int64_t first_position(const contract::LayerClass& layers) const {
    return layers.window ? tokens_ - layers.cache_len : 0;
  }

  // Adds row `row` of a call as the next token; there must be room.
  void append(const FreshRows& fresh, int64_t row);
  // Forgets the tokens from `position` on, which is at most tokens(). Layers with a window keep the
  // rows that dropped out of it for as many tokens again; where what they saw at `position` is gone
  // nevertheless, all tokens are forgotten, for there is nothing that it could be computed from.
  void rewind(int64_t position);

  uint64_t bytes() const { return memory_.bytes().size(); }  // of memory, once it is full
  // Takes all of that memory now.
  void populate() const { memory_.populate(); }

  // Whether rewind() forgets nothing before `position`.
  bool can_rewind(int64_t position) const;
  // Holds the first `tokens` of a cache of the same model afterwards, which can be rewound to them.
  void copy_from(const KvCache& other, int64_t tokens);

  // Writes the rows of all tokens, or takes the first `tokens` of what another cache of the same
  // model wrote and forgets its own. Only for models without windows, of which every row is there.
  Status write_rows(Sink& sink) const;
  static uint64_t row_bytes(const contract::Model& model);  // of a token, of all layers
  Status read_rows(Bytes rows, int64_t tokens);

 private:
  KvCache() = default;

  contract::Model model_;
  int64_t most_ = 0, tokens_ = 0;
  ZeroedMemory memory_;
  // By layer; one of the two.
  std::vector<MutableBytes> keys_, values_;
  struct Rings {
    RowRing keys, values;
  };
  std::vector<std::optional<Rings>> rings_;
  std::vector<size_t> windowed_;  // the layers that have rings
};

}  // namespace diptych::generate
