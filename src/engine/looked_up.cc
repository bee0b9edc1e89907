#include "engine/looked_up.h"

#include <cstring>
#include <memory>

#include "base/proc.h"
#include "base/zeroed_memory.h"

namespace diptych::engine {

namespace {

// `size` bytes as a weight, filled by fill(bytes).
template <class Fill>
Result<WeightRef> made_weight(TensorType type, uint64_t size, const Fill& fill) {
  auto memory = std::make_shared<ZeroedMemory>(TRY(ZeroedMemory::allocate(size)));
  memory->populate();
  fill(memory->bytes());
  const Bytes bytes = memory->bytes();
  return mapped_weight(std::move(type), bytes, std::move(memory));
}

}  // namespace

LookedUp::LookedUp() : LookedUp(available_memory_bytes() / 2) {}

kernels::LinearWeight LookedUp::Rows::weight() const {
  return {codes->bytes()->data(),  DType::Int8, codes->shape()[0], codes->shape()[1],
          scales->bytes()->data(), DType::F32,  codes->shape()[1]};
}

Result<std::optional<LookedUp::Rows>> LookedUp::rows(const Palette& palette) {
  const PaletteWeight& stored = palette.stored();
  const kernels::PaletteWeight& weight = palette.weight();
  DigestCache digests;
  const std::pair key(weight.data, stored.tables->digest(digests));
  TRY(digests.failure);
  std::lock_guard lock(mutex_);
  if (const auto known = entries_.find(key); known != entries_.end()) return known->second.rows;
  const auto elements = static_cast<uint64_t>(weight.rows * weight.columns);
  const uint64_t scale_bytes = static_cast<uint64_t>(weight.rows) * sizeof(float);
  if (elements + scale_bytes > room_) return std::nullopt;
  Rows rows;
  rows.codes = TRY(
      made_weight({DType::Int8, {weight.rows, weight.columns}}, elements, [&](MutableBytes out) {
        kernels::look_up_codes(weight, 0, weight.rows, reinterpret_cast<int8_t*>(out.data()));
      }));
  rows.scales = TRY(made_weight({DType::F32, {weight.rows, 1}}, scale_bytes, [&](MutableBytes out) {
    std::memcpy(out.data(), weight.scales, scale_bytes);
  }));
  room_ -= elements + scale_bytes;
  entries_.emplace(key, Entry{stored, rows});
  return rows;
}

}  // namespace diptych::engine
