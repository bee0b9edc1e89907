#include "generate/kv_cache.h"

#include <algorithm>

namespace diptych::generate {
namespace {

constexpr uint64_t kAlignment = 64;

// Of a token's keys of one head.
uint64_t row_bytes(const contract::Model& model) {
  return static_cast<uint64_t>(model.head_dim) * static_cast<uint64_t>(bit_width(model.dtype)) / 8;
}

}  // namespace

Result<KvCache> KvCache::create(const contract::Description& model) {
  KvCache cache;
  cache.model_ = model;
  cache.most_ = model.cache_len();
  // Of a layer's keys, and of its values.
  const auto size_of = [&](size_t layer) {
    return static_cast<uint64_t>(model.kv_heads * model.class_of(layer).cache_len) *
           row_bytes(model);
  };
  uint64_t all = 0;
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    const uint64_t both = 2 * align_up(size_of(layer), kAlignment);
    if (!checked_add(all, both, &all)) return unsupported("caches of {} bytes a layer", both);
  }
  cache.memory_ = TRY(ZeroedMemory::allocate(all));
  uint64_t at = 0;
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    for (std::vector<MutableBytes>* caches : {&cache.keys_, &cache.values_}) {
      caches->push_back(cache.memory_.bytes().subspan(at, size_of(layer)));
      at += align_up(size_of(layer), kAlignment);
    }
  }
  return cache;
}

void KvCache::append(const FreshRows& fresh, int64_t row) {
  const uint64_t bytes = row_bytes(model_);
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    const int64_t slots = model_.class_of(layer).cache_len;
    for (int64_t head = 0; head < model_.kv_heads; ++head) {
      const uint64_t from = static_cast<uint64_t>(head * fresh.tokens + row) * bytes;
      const uint64_t to = static_cast<uint64_t>(head * slots + tokens_) * bytes;
      std::copy_n(&fresh.keys[layer][from], bytes, keys_[layer].data() + to);
      std::copy_n(&fresh.values[layer][from], bytes, values_[layer].data() + to);
    }
  }
  ++tokens_;
}

}  // namespace diptych::generate
