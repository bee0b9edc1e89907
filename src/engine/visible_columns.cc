#include "engine/visible_columns.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/visible_columns.cc"
// clang-format off
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
// After the two above, which it relies on.
#include "engine/halves-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {

// The bits of a packed type's elements: from `first` on to -inf, they hide.
template <class Bits>
constexpr Bits kMinusInfinity = sizeof(Bits) == 2 ? 0xFC00 : static_cast<Bits>(0xFF800000);
template <class Bits>
Bits first_hidden(Hiding hiding) {
  if (hiding == Hiding::Infinite) return kMinusInfinity<Bits>;
  if constexpr (sizeof(Bits) == 2) {
    return float_to_half(kHiddenEntry);
  } else {
    return std::bit_cast<Bits>(kHiddenEntry);
  }
}

template <class Mask, class D>
uint64_t bits_of(D d, Mask mask) {
  uint8_t bytes[8] = {};
  hn::StoreMaskBits(d, mask, bytes);
  uint64_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return bits;
}

// One block of up to kAttentionBlock elements. Notes in `zeros` whether there is a 0.
template <class Bits>
uint8_t look_at_block(const std::byte* mask, int64_t count, Hiding hiding, bool& zeros) {
  const hn::CappedTag<Bits, 32> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Bits first = first_hidden<Bits>(hiding);
  const auto hide_from = hn::Set(d, first);
  const auto range = hn::Set(d, static_cast<Bits>(kMinusInfinity<Bits> - first));
  uint64_t hidden = 0, zero = 0;
  const auto look = [&](auto v, int64_t at) HWY_ATTR {
    const auto beyond = hn::Sub(v, hide_from);
    hidden |= bits_of(d, hn::Eq(hn::Min(beyond, range), beyond)) << at;  // at most the range
    zero |= bits_of(d, hn::Eq(hn::Add(v, v), hn::Zero(d))) << at;        // of either sign
  };
  int64_t at = 0;
  for (; at + lanes <= count; at += lanes, mask += lanes * sizeof(Bits)) {
    look(load_packed(d, mask), at);
  }
  if (at < count) {
    alignas(64) Bits rest[32] = {};
    std::memcpy(rest, mask, static_cast<size_t>(count - at) * sizeof(Bits));
    look(hn::Load(d, rest), at);
  }
  const uint64_t present = ~uint64_t{0} >> (kAttentionBlock - count);
  zeros = zeros || (zero & present) != 0;
  const int seen = 64 - std::countl_zero(~hidden & present);
  if (seen == 0) return 0;
  const uint64_t looked_at = ~uint64_t{0} >> (64 - seen);
  return Visible{seen, (zero & looked_at) == looked_at, hiding}.byte();
}

// Returns whether the row has a 0.
template <class Bits>
bool look_at_row(const AttentionColumns& columns, const std::byte* mask, Hiding hiding,
                 uint8_t* visible) {
  bool zeros = false;
  for (const int64_t part : columns.parts) {
    for (int64_t first = 0; first < part; first += kAttentionBlock) {
      const int64_t count = std::min(kAttentionBlock, part - first);
      *visible++ = look_at_block<Bits>(mask, count, hiding, zeros);
      mask += count * static_cast<int64_t>(sizeof(Bits));
    }
  }
  return zeros;
}

template <class Bits>
void look_at_rows(const AttentionColumns& columns, const std::byte* mask, Hiding hiding,
                  int64_t begin, int64_t end, uint8_t* visible) {
  for (int64_t row = begin; row < end; ++row) {
    const std::byte* at = mask + row * columns.count() * static_cast<int64_t>(sizeof(Bits));
    uint8_t* to = visible + row * columns.blocks();
    const bool zeros = look_at_row<Bits>(columns, at, hiding, to);
    if (!zeros && hiding == Hiding::Finite) {
      look_at_row<Bits>(columns, at, Hiding::Infinite, to);
    }
  }
}

void find_visible(const AttentionColumns& columns, const std::byte* mask, bool half, Hiding hiding,
                  int64_t begin, int64_t end, uint8_t* visible) {
  half ? look_at_rows<uint16_t>(columns, mask, hiding, begin, end, visible)
       : look_at_rows<uint32_t>(columns, mask, hiding, begin, end, visible);
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::engine {

HWY_EXPORT(find_visible);

void find_visible(const AttentionColumns& columns, const std::byte* mask, bool half, Hiding hiding,
                  int64_t begin, int64_t end, uint8_t* visible) {
  HWY_DYNAMIC_DISPATCH(find_visible)(columns, mask, half, hiding, begin, end, visible);
}

SeenColumns seen_columns(const AttentionColumns& columns, int64_t rows, const uint8_t* visible) {
  SeenColumns seen;
  for (int64_t block = 0; block < columns.blocks(); ++block) {
    const int64_t before = seen.pairs;
    for (int64_t row = 0; row < rows; ++row) {
      seen.pairs += Visible::count_of(visible[row * columns.blocks() + block]);
    }
    if (seen.pairs != before) ++seen.blocks;
  }
  return seen;
}

}  // namespace diptych::engine
#endif
