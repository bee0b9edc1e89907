#include "engine/visible_columns.h"

#include <algorithm>
#include <bit>
#include <cstring>

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

// The bits of a packed type's elements.
template <class Bits>
constexpr Bits kMinusInfinity = sizeof(Bits) == 2 ? 0xFC00 : static_cast<Bits>(0xFF800000);

template <class Mask, class D>
uint64_t bits_of(D d, Mask mask) {
  uint8_t bytes[8] = {};
  hn::StoreMaskBits(d, mask, bytes);
  uint64_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return bits;
}

// One block of up to kAttentionBlock elements.
template <class Bits>
uint8_t look_at_block(const std::byte* mask, int64_t count) {
  const hn::CappedTag<Bits, 32> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  uint64_t hidden = 0, zero = 0;
  const auto look = [&](auto v, int64_t at) {
    hidden |= bits_of(d, hn::Eq(v, hn::Set(d, kMinusInfinity<Bits>))) << at;
    zero |= bits_of(d, hn::Eq(hn::Add(v, v), hn::Zero(d))) << at;  // of either sign
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
  const int seen = 64 - std::countl_zero(~hidden & present);
  if (seen == 0) return 0;
  const uint64_t looked_at = ~uint64_t{0} >> (64 - seen);
  return static_cast<uint8_t>(seen | ((zero & looked_at) == looked_at ? kVisiblePlain : 0));
}

template <class Bits>
void look_at_rows(const AttentionColumns& columns, const std::byte* mask, int64_t begin,
                  int64_t end, uint8_t* visible) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(Bits));
  visible += begin * columns.blocks();
  for (int64_t row = begin; row < end; ++row) {
    const std::byte* at = mask + row * columns.count() * kSize;
    for (const int64_t part : columns.parts) {
      for (int64_t first = 0; first < part; first += kAttentionBlock) {
        *visible++ =
            look_at_block<Bits>(at + first * kSize, std::min(kAttentionBlock, part - first));
      }
      at += part * kSize;
    }
  }
}

void find_visible(const AttentionColumns& columns, const std::byte* mask, bool half, int64_t begin,
                  int64_t end, uint8_t* visible) {
  half ? look_at_rows<uint16_t>(columns, mask, begin, end, visible)
       : look_at_rows<uint32_t>(columns, mask, begin, end, visible);
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::engine {

HWY_EXPORT(find_visible);

void find_visible(const AttentionColumns& columns, const std::byte* mask, bool half, int64_t begin,
                  int64_t end, uint8_t* visible) {
  HWY_DYNAMIC_DISPATCH(find_visible)(columns, mask, half, begin, end, visible);
}

SeenColumns seen_columns(const AttentionColumns& columns, int64_t rows, const uint8_t* visible) {
  SeenColumns seen;
  for (int64_t block = 0; block < columns.blocks(); ++block) {
    const int64_t before = seen.pairs;
    for (int64_t row = 0; row < rows; ++row) {
      seen.pairs += visible[row * columns.blocks() + block] & kVisibleCount;
    }
    if (seen.pairs != before) ++seen.blocks;
  }
  return seen;
}

}  // namespace diptych::engine
#endif
