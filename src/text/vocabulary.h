// Tokens by id and ids by token: a hash table over one block of bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/token_id.h"

namespace diptych::text {

// Immutable once built.
class Vocabulary {
 public:
  // `tokens[id]`; empty ones are ids without a token. Fails when two are the same ("ids 3 and 7
  // have the same token").
  static Result<Vocabulary> build(const std::vector<std::string_view>& tokens);

  size_t size() const { return ends_.size(); }
  // Empty for an id without a token; `id` is below size().
  std::string_view token(TokenId id) const;
  // The id of exactly these bytes, or kNoToken.
  TokenId find(std::string_view token) const;

 private:
  size_t slot_of(std::string_view token) const;  // of the token, or the free one for it

  std::string bytes_;           // all tokens, one after another
  std::vector<uint32_t> ends_;  // where each token ends in bytes_
  std::vector<TokenId> slots_;  // open addressing, a power of two, at most half full
  size_t longest_ = 0;
};

}  // namespace diptych::text
