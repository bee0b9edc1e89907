// Byte-pair encoding by rank: the vocabulary of a tiktoken-style tokenizer and its merges.
//
// Starting from single bytes, the adjacent pair whose concatenation has the lowest rank (leftmost
// on ties) becomes one token, until no pair is in the vocabulary.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace diptych::text {

// Tokens in order of rank; a token's rank is its id. Immutable once built.
class BytePairEncoder {
 public:
  // `tokens[rank]` are distinct and not empty. Every single byte must be among them, so that any
  // text can be encoded.
  static Result<BytePairEncoder> build(const std::vector<std::string_view>& tokens);

  size_t size() const { return vocabulary_.size(); }
  std::string_view token(TokenId id) const { return vocabulary_.token(id); }

  // The id of exactly these bytes, or kNoToken.
  TokenId find(std::string_view bytes) const { return vocabulary_.find(bytes); }

  // Appends the ids of `word`. n log n in its length, whatever it holds.
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  explicit BytePairEncoder(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  Vocabulary vocabulary_;
};

}  // namespace diptych::text
