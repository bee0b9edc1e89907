// Byte-pair encoding by rank: the vocabulary of a tiktoken-style tokenizer and its merges.
//
// Starting from single bytes, the adjacent pair whose concatenation has the lowest rank (leftmost
// on ties) becomes one token, until no pair is in the vocabulary.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace diptych::text {

// Tokens in order of rank; a token's rank is its id. Immutable once built.
class BytePairEncoder {
 public:
  // `tokens[rank]` are distinct and not empty. Every single byte must be among them, so that any
  // text can be encoded.
  static Result<BytePairEncoder> build(std::vector<std::string_view> tokens);

  size_t size() const { return ends_.size(); }
  std::string_view token(TokenId id) const;

  // The id of exactly these bytes, or kNoToken.
  TokenId find(std::string_view bytes) const;

  // Appends the ids of `word`. n log n in its length, whatever it holds.
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  BytePairEncoder() = default;
  size_t slot_of(
      std::string_view bytes) const;  // of the bytes, or the free one where they would be

  std::string bytes_;           // all tokens, one after another
  std::vector<uint32_t> ends_;  // where each token ends in bytes_
  std::vector<TokenId> slots_;  // open-addressing hash table, a power of two, at most half full
  size_t longest_ = 0;
};

}  // namespace diptych::text
