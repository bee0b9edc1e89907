#include "chat/longest_text.h"

#include <algorithm>

namespace diptych::chat {

size_t longest_text(const text::Tokenizer& tokenizer, int64_t tokens) {
  constexpr size_t kLeast = 64 << 10;
  size_t longest = 1;  // of a token's texts
  for (text::TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    longest = std::max({longest, tokenizer.piece(id).size(), tokenizer.special_name(id).size()});
  }
  return std::max(kLeast, longest * static_cast<size_t>(std::max<int64_t>(tokens, 0)));
}

}  // namespace diptych::chat
