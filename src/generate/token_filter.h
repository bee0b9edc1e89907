// What may come next in an answer that has a form to keep (a grammar, a schema): asked for before
// each token is chosen, told of it afterwards.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"

namespace diptych::generate {

class TokenFilter {
 public:
  virtual ~TokenFilter() = default;

  // A bit for each token of the vocabulary, the lowest of a word first: whether it may come next.
  // Valid until the next call. Errors: no token may.
  virtual Result<std::span<const uint64_t>> allowed() = 0;
  // The token that was chosen, one of those that may come.
  virtual void accept(int64_t token) = 0;
  // The answer is complete: nothing may come any more.
  virtual bool complete() const = 0;
};

// `logits` with -inf for tokens that are not allowed; `buffer` holds them.
inline std::span<const float> filtered(std::span<const float> logits,
                                       std::span<const uint64_t> allowed,
                                       std::vector<float>& buffer) {
  buffer.assign(logits.begin(), logits.end());
  for (size_t word = 0; word * 64 < buffer.size(); ++word) {
    const uint64_t bits = word < allowed.size() ? allowed[word] : 0;
    if (bits == ~uint64_t{0}) continue;
    const size_t end = std::min(buffer.size(), word * 64 + 64);
    for (size_t i = word * 64; i < end; ++i) {
      if (((bits >> (i % 64)) & 1) == 0) buffer[i] = -INFINITY;
    }
  }
  return buffer;
}

}  // namespace diptych::generate
