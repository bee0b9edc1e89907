#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <climits>
#include <functional>

namespace diptych::text {

Result<Vocabulary> Vocabulary::build(const std::vector<std::string_view>& tokens) {
  Vocabulary vocabulary;
  size_t total = 0;
  for (const std::string_view token : tokens) total += token.size();
  if (total > UINT_MAX) {
    return invalid_data("{} bytes of tokens, at most 4 GiB are possible", total);
  }
  vocabulary.bytes_.reserve(total);
  vocabulary.ends_.reserve(tokens.size());
  vocabulary.slots_.assign(std::bit_ceil(2 * tokens.size() + 2), kNoToken);
  for (const std::string_view token : tokens) {
    const auto id = static_cast<TokenId>(vocabulary.ends_.size());
    if (!token.empty()) {
      TokenId& slot = vocabulary.slots_[vocabulary.slot_of(token)];
      if (slot != kNoToken) return invalid_data("ids {} and {} have the same token", slot, id);
      slot = id;
    }
    vocabulary.bytes_ += token;
    vocabulary.ends_.push_back(static_cast<uint32_t>(vocabulary.bytes_.size()));
    vocabulary.longest_ = std::max(vocabulary.longest_, token.size());
  }
  return vocabulary;
}

std::string_view Vocabulary::token(TokenId id) const {
  const auto index = static_cast<size_t>(id);
  const uint32_t start = index == 0 ? 0 : ends_[index - 1];
  return std::string_view(bytes_).substr(start, ends_[index] - start);
}

size_t Vocabulary::slot_of(std::string_view token) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>{}(token)&mask;
  while (slots_[slot] != kNoToken && this->token(slots_[slot]) != token) slot = (slot + 1) & mask;
  return slot;
}

TokenId Vocabulary::find(std::string_view token) const {
  return token.size() > longest_ ? kNoToken : slots_[slot_of(token)];
}

}  // namespace diptych::text
