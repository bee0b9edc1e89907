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

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that small stack buffers suffice.
using F32 = hn::CappedTag<float, 16>;
using V32 = hn::Vec<F32>;
constexpr size_t kMaxLanes = 16;

// What Highway emulates where there is no instruction takes infinities for numbers.
#undef DIPTYCH_NATIVE_HALVES
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2 && !defined(HWY_DISABLE_F16C))
#define DIPTYCH_NATIVE_HALVES 1
#else
#define DIPTYCH_NATIVE_HALVES 0
#endif

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

  static HWY_INLINE V32 widen(hn::Vec<D16> halves) {
    const F32 d;
#if DIPTYCH_NATIVE_HALVES
    return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, F32>(), halves));
#else
    const hn::RebindToUnsigned<F32> du;
    const auto bits = hn::PromoteTo(du, halves);
    const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000u)));
    // Exponent and mantissa moved into place are the value times 2^-112, subnormals included.
    const auto moved = hn::ShiftLeft<13>(hn::And(bits, hn::Set(du, 0x7FFFu)));
    const auto scaled = hn::BitCast(du, hn::Mul(hn::BitCast(d, moved), hn::Set(d, 0x1p112f)));
    // Infinities and NaNs keep their mantissa and get the largest exponent.
    const auto special = hn::Gt(moved, hn::Set(du, 0x0F7FFFFFu));
    const auto full = hn::Or(scaled, hn::IfThenElseZero(special, hn::Set(du, 0x7F800000u)));
    return hn::BitCast(d, hn::Or(full, sign));
#endif
  }

  // Writes a vector, rounded to the nearest, ties to even; adds how many finite values became
  // infinite.
  static HWY_INLINE void store(V32 v, std::byte* at, uint64_t* overflows) {
    const F32 d;
    const V32 size = hn::Abs(v),
              infinity = hn::BitCast(d, hn::Set(hn::RebindToUnsigned<F32>(), 0x7F800000u));
    const auto large = hn::Ge(size, hn::Set(d, 65520.0f));
    *overflows += hn::CountTrue(d, hn::And(large, hn::Lt(size, infinity)));
    store_packed(narrow(v), at);
  }

  static HWY_INLINE hn::Vec<D16> narrow(V32 v) {
#if DIPTYCH_NATIVE_HALVES
    return hn::BitCast(D16(), hn::DemoteTo(hn::Rebind<hwy::float16_t, F32>(), v));
#else
    const F32 d;
    const hn::RebindToUnsigned<F32> du;
    const auto bits = hn::BitCast(du, v);
    const auto sign = hn::And(bits, hn::Set(du, 0x80000000u));
    const auto magnitude = hn::Xor(bits, sign);
    const V32 size = hn::BitCast(d, magnitude);
    const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1u));
    const auto carried = hn::Add(hn::Add(magnitude, hn::Set(du, 0xFFFu)), odd);
    const auto normal = hn::ShiftRight<13>(hn::Sub(carried, hn::Set(du, 0x38000000u)));
    // Below the smallest normal the step is 2^-24, which is that of floats between 0.5 and 1.
    const V32 half = hn::Set(d, 0.5f);
    const auto subnormal = hn::Sub(hn::BitCast(du, hn::Add(size, half)), hn::BitCast(du, half));
    const auto is_small = hn::RebindMask(du, hn::Lt(size, hn::Set(d, 0x1p-14f)));
    const auto is_large = hn::RebindMask(du, hn::Ge(size, hn::Set(d, 65520.0f)));
    const auto is_nan = hn::Gt(magnitude, hn::Set(du, 0x7F800000u));
    const auto payload =
        hn::Or(hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 0x1FFu)), hn::Set(du, 0x7E00u));
    auto rounded = hn::IfThenElse(is_small, subnormal, normal);
    rounded = hn::IfThenElse(is_large, hn::Set(du, 0x7C00u), rounded);
    rounded = hn::IfThenElse(is_nan, payload, rounded);
    rounded = hn::Or(rounded, hn::ShiftRight<16>(sign));
    return hn::DemoteTo(D16(), hn::BitCast(hn::RebindToSigned<F32>(), rounded));
#endif
  }
};

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled include guard
