#include "engine/looked_up.h"

#include <memory>
#include <vector>

#include "base/proc.h"
#include "base/zeroed_memory.h"

namespace diptych::engine {

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
  if (!room_) room_ = available_memory_bytes() / 2;
  const auto elements = static_cast<uint64_t>(weight.rows * weight.columns);
  const uint64_t scale_bytes = static_cast<uint64_t>(weight.rows) * sizeof(float);
  if (elements + scale_bytes > *room_) return std::nullopt;
  const auto memory = std::make_shared<ZeroedMemory>(TRY(ZeroedMemory::allocate(elements)));
  const MutableBytes codes = memory->bytes();
  kernels::look_up_codes(weight, 0, weight.rows, reinterpret_cast<int8_t*>(codes.data()));
  const auto* const scales = reinterpret_cast<const std::byte*>(weight.scales);
  Rows rows;
  rows.codes = TRY(mapped_weight({DType::Int8, {weight.rows, weight.columns}}, codes, memory));
  rows.scales = TRY(memory_weight({DType::F32, {weight.rows, 1}},
                                  std::vector<std::byte>(scales, scales + scale_bytes)));
  *room_ -= elements + scale_bytes;
  entries_.emplace(key, Entry{stored, rows});
  return rows;
}

}  // namespace diptych::engine
