// Vectors of floats from packed elements at any address, and back. Included by files that are
// compiled once per instruction set (Highway), after hwy/highway.h.
#if defined(DIPTYCH_ENGINE_HALVES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DIPTYCH_ENGINE_HALVES_INL_H
#undef DIPTYCH_ENGINE_HALVES_INL_H
#else
#define DIPTYCH_ENGINE_HALVES_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/halves-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using diptych::HWY_NAMESPACE::narrow_to_halves;
using diptych::HWY_NAMESPACE::nearest_halves;
using diptych::HWY_NAMESPACE::widen_halves;

// At most 16 lanes, so that small stack buffers suffice.
using F32 = hn::CappedTag<float, 16>;
using V32 = hn::Vec<F32>;
constexpr size_t kMaxLanes = 16;

// Vectors of elements at any address.
template <class D>
HWY_INLINE hn::Vec<D> load_packed(D d, const std::byte* at) {
#if HWY_TARGET == HWY_SCALAR
  hn::TFromD<D> element;
  std::memcpy(&element, at, sizeof element);
  return hn::Set(d, element);
#else
  const hn::Repartition<uint8_t, D> d8;
  return hn::BitCast(d, hn::LoadU(d8, reinterpret_cast<const uint8_t*>(at)));
#endif
}

template <class V>
HWY_INLINE void store_packed(V v, std::byte* at) {
#if HWY_TARGET == HWY_SCALAR
  const auto element = hn::GetLane(v);
  std::memcpy(at, &element, sizeof element);
#else
  const hn::Repartition<uint8_t, hn::DFromV<V> > d8;
  hn::StoreU(hn::BitCast(d8, v), d8, reinterpret_cast<uint8_t*>(at));
#endif
}

// fp32 elements.
struct PackedFloats {
  static constexpr size_t kSize = 4;

  static HWY_INLINE V32 load(const std::byte* at) { return load_packed(F32(), at); }

  // The first n < lanes elements, zeros behind them.
  static HWY_INLINE V32 load_some(const std::byte* at, size_t n) {
    alignas(64) float lanes[kMaxLanes] = {};
    std::memcpy(lanes, at, n * kSize);
    return hn::Load(F32(), lanes);
  }
};

// fp16 elements.
struct PackedHalves {
  static constexpr size_t kSize = 2;
  using D16 = hn::Rebind<uint16_t, F32>;

  static HWY_INLINE V32 load(const std::byte* at) { return widen(load_packed(D16(), at)); }

  static HWY_INLINE V32 load_some(const std::byte* at, size_t n) {
    alignas(64) uint16_t lanes[kMaxLanes] = {};
    std::memcpy(lanes, at, n * kSize);
    return widen(hn::Load(D16(), lanes));
  }

  static HWY_INLINE V32 widen(hn::Vec<D16> halves) { return widen_halves(F32(), halves); }

  // Writes a vector, rounded to the nearest, ties to even; adds how many finite values became
  // infinite.
  static HWY_INLINE void store(V32 v, std::byte* at, uint64_t* overflows) {
    const F32 d;
    const V32 size = hn::Abs(v),
              infinity = hn::BitCast(d, hn::Set(hn::RebindToUnsigned<F32>(), 0x7F800000u));
    const auto large = hn::Ge(size, hn::Set(d, 65520.0f));
    *overflows += hn::CountTrue(d, hn::And(large, hn::Lt(size, infinity)));
    store_packed(narrow_to_halves(d, v), at);
  }
};

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled include guard
