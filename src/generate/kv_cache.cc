#include "generate/kv_cache.h"

#include <algorithm>

namespace diptych::generate {
namespace {

constexpr uint64_t kAlignment = 64;
// Of what a method takes of a layer: a ring's bytes are a few times as many, and fit 63 bits.
constexpr uint64_t kMostBytes = uint64_t{1} << 56;

// Of a token's keys of one head.
uint64_t head_row_bytes(const contract::Model& model) {
  return static_cast<uint64_t>(model.head_dim) * static_cast<uint64_t>(bit_width(model.dtype)) / 8;
}

}  // namespace

Result<KvCache> KvCache::create(const contract::Description& model) {
  KvCache cache;
  cache.model_ = model;
  cache.most_ = model.cache_len();
  const auto shape_of = [&](size_t layer) {
    return RingShape{model.kv_heads, model.class_of(layer).cache_len,
                     static_cast<int64_t>(head_row_bytes(model))};
  };
  // Of a layer's keys, and of its values.
  const auto size_of = [&](size_t layer) {
    const RingShape shape = shape_of(layer);
    return static_cast<uint64_t>(model.class_of(layer).window ? shape.bytes() : shape.view_bytes());
  };
  uint64_t all = 0;
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    const Shape taken = {model.kv_heads, model.class_of(layer).cache_len, model.head_dim};
    const uint64_t bytes = TRY(packed_size({model.dtype, taken}));
    if (bytes > kMostBytes) return unsupported("caches of {} bytes a layer", bytes);
    const uint64_t both = 2 * align_up(size_of(layer), kAlignment);
    if (!checked_add(all, both, &all)) return unsupported("caches of {} bytes a layer", both);
  }
  cache.memory_ = TRY(ZeroedMemory::allocate(all));
  uint64_t at = 0;
  const auto take = [&](size_t layer) {
    const MutableBytes bytes = cache.memory_.bytes().subspan(at, size_of(layer));
    at += align_up(size_of(layer), kAlignment);
    return bytes;
  };
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    const MutableBytes keys = take(layer), values = take(layer);
    cache.keys_.push_back(keys);
    cache.values_.push_back(values);
    cache.rings_.emplace_back();
    if (!model.class_of(layer).window) continue;
    const RingShape shape = shape_of(layer);
    cache.rings_.back() = {RowRing(shape, keys), RowRing(shape, values)};
    cache.windowed_.push_back(layer);
  }
  return cache;
}

Bytes KvCache::keys(size_t layer) const {
  return rings_[layer] ? rings_[layer]->keys.view() : Bytes(keys_[layer]);
}

Bytes KvCache::values(size_t layer) const {
  return rings_[layer] ? rings_[layer]->values.view() : Bytes(values_[layer]);
}

void KvCache::append(const FreshRows& fresh, int64_t row) {
  const uint64_t bytes = head_row_bytes(model_);
  const uint64_t from = static_cast<uint64_t>(row) * bytes;
  const uint64_t from_stride = static_cast<uint64_t>(fresh.tokens) * bytes;
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    const std::byte* key = &fresh.keys[layer][from];
    const std::byte* value = &fresh.values[layer][from];
    if (std::optional<Rings>& rings = rings_[layer]) {
      rings->keys.append(tokens_, key, from_stride);
      rings->values.append(tokens_, value, from_stride);
      continue;
    }
    const uint64_t to_stride = static_cast<uint64_t>(model_.class_of(layer).cache_len) * bytes;
    uint64_t to = static_cast<uint64_t>(tokens_) * bytes;
    for (int64_t head = 0; head < model_.kv_heads; ++head) {
      std::copy_n(key, bytes, &keys_[layer][to]);
      std::copy_n(value, bytes, &values_[layer][to]);
      key += from_stride;
      value += from_stride;
      to += to_stride;
    }
  }
  ++tokens_;
}

bool KvCache::can_rewind(int64_t position) const {
  return std::all_of(windowed_.begin(), windowed_.end(), [&](size_t layer) {
    // What the token at `position` sees besides itself.
    return rings_[layer]->keys.holds(position, *model_.class_of(layer).window - 1);
  });
}

void KvCache::rewind(int64_t position) {
  if (!can_rewind(position)) position = 0;
  for (const size_t layer : windowed_) {
    rings_[layer]->keys.rewind(tokens_, position);
    rings_[layer]->values.rewind(tokens_, position);
  }
  tokens_ = position;
}

void KvCache::copy_from(const KvCache& other, int64_t tokens) {
  const uint64_t bytes = head_row_bytes(model_);
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    if (std::optional<Rings>& rings = rings_[layer]) {
      rings->keys.copy_from(other.rings_[layer]->keys);
      rings->values.copy_from(other.rings_[layer]->values);
      rings->keys.rewind(other.tokens_, tokens);
      rings->values.rewind(other.tokens_, tokens);
      continue;
    }
    const uint64_t stride = static_cast<uint64_t>(model_.class_of(layer).cache_len) * bytes;
    const uint64_t used = static_cast<uint64_t>(tokens) * bytes;
    for (uint64_t head = 0; head < static_cast<uint64_t>(model_.kv_heads); ++head) {
      std::copy_n(&other.keys_[layer][head * stride], used, &keys_[layer][head * stride]);
      std::copy_n(&other.values_[layer][head * stride], used, &values_[layer][head * stride]);
    }
  }
  tokens_ = tokens;
}

uint64_t KvCache::row_bytes(const contract::Model& model) {
  return 2 * model.layers() * static_cast<uint64_t>(model.kv_heads) * head_row_bytes(model);
}

Status KvCache::write_rows(Sink& sink) const {
  const uint64_t bytes = head_row_bytes(model_);
  const uint64_t used = static_cast<uint64_t>(tokens_) * bytes;
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    const uint64_t stride = static_cast<uint64_t>(model_.class_of(layer).cache_len) * bytes;
    for (const MutableBytes& side : {keys_[layer], values_[layer]}) {
      for (uint64_t head = 0; head < static_cast<uint64_t>(model_.kv_heads); ++head) {
        TRY(sink.write(side.subspan(head * stride, used)));
      }
    }
  }
  return {};
}

Status KvCache::read_rows(Bytes rows, int64_t tokens) {
  if (!windowed_.empty()) return unsupported("saved caches of layers with windows");
  const auto count = static_cast<uint64_t>(tokens);
  if (tokens < 0 || tokens > most_ || rows.size() != count * row_bytes(model_)) {
    return invalid_data(
        "{} bytes of keys and values for {} tokens, expected {} a token and at most {} tokens",
        rows.size(), tokens, row_bytes(model_), most_);
  }
  const uint64_t bytes = head_row_bytes(model_), used = count * bytes;
  for (size_t layer = 0; layer < keys_.size(); ++layer) {
    const uint64_t stride = static_cast<uint64_t>(model_.class_of(layer).cache_len) * bytes;
    for (const MutableBytes& side : {keys_[layer], values_[layer]}) {
      for (uint64_t head = 0; head < static_cast<uint64_t>(model_.kv_heads); ++head) {
        std::copy_n(rows.data(), used, side.data() + head * stride);
        rows = rows.subspan(used);
      }
    }
  }
  tokens_ = tokens;
  return {};
}

}  // namespace diptych::generate
