// fp16 in vectors: base/half.h's conversions for whole registers, by instructions where there are
// any. Included by files that are compiled once per instruction set (Highway), after
// hwy/highway.h.
#if defined(DIPTYCH_TENSOR_HALVES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DIPTYCH_TENSOR_HALVES_INL_H
#undef DIPTYCH_TENSOR_HALVES_INL_H
#else
#define DIPTYCH_TENSOR_HALVES_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace diptych::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// What Highway emulates where there is no instruction takes infinities for numbers.
#undef DIPTYCH_NATIVE_HALVES
#if HWY_ARCH_ARM_A64 || (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2 && !defined(HWY_DISABLE_F16C))
#define DIPTYCH_NATIVE_HALVES 1
#else
#define DIPTYCH_NATIVE_HALVES 0
#endif

// D is a tag of floats throughout.
template <class D>
using Halves = hn::Vec<hn::Rebind<uint16_t, D>>;

// The floats of fp16 elements, for every bit pattern as half_to_float() has them: by arithmetic on
// the bits, so that no instruction set and no floating-point mode has a say in subnormals and NaNs.
template <class D>
HWY_INLINE hn::Vec<D> widen_halves_exactly(D d, Halves<D> halves) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::PromoteTo(du, halves);
  const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000u)));
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7FFFu));
  const auto shifted = hn::ShiftLeft<13>(magnitude);
  const auto normal = hn::Add(shifted, hn::Set(du, 112u << 23));
  const auto special = hn::Or(shifted, hn::Set(du, 0x7F800000u));
  // Subnormal: the mantissa times 2^-24, by taking 0.5 away from 0.5 + it.
  const auto sum = hn::BitCast(d, hn::Or(magnitude, hn::Set(du, 0x3F000000u)));
  const auto subnormal = hn::BitCast(du, hn::Sub(sum, hn::Set(d, 0.5f)));
  auto result = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 0x400u)), subnormal, normal);
  result = hn::IfThenElse(hn::Gt(magnitude, hn::Set(du, 0x7BFFu)), special, result);
  return hn::BitCast(d, hn::Or(result, sign));
}

// The same, except that a NaN may have become a quiet one.
template <class D>
HWY_INLINE hn::Vec<D> widen_halves(D d, Halves<D> halves) {
#if DIPTYCH_NATIVE_HALVES
  return hn::PromoteTo(d, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), halves));
#else
  return widen_halves_exactly(d, halves);
#endif
}

// The nearest fp16 elements, ties to even, for every bit pattern as float_to_half() has them.
template <class D>
HWY_INLINE Halves<D> narrow_to_halves(D d, hn::Vec<D> v) {
  const hn::Rebind<uint16_t, D> d16;
#if DIPTYCH_NATIVE_HALVES
  (void)d;
  return hn::BitCast(d16, hn::DemoteTo(hn::Rebind<hwy::float16_t, D>(), v));
#else
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, v);
  const auto sign = hn::And(bits, hn::Set(du, 0x80000000u));
  const auto magnitude = hn::Xor(bits, sign);
  const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1u));
  // Wraps for magnitudes below the normal range, whose results are not used.
  const auto carried = hn::Add(hn::Add(magnitude, hn::Set(du, 0xFFFu - 0x38000000u)), odd);
  const auto normal = hn::ShiftRight<13>(carried);
  // Below the smallest normal the step is 2^-24, which is that of floats between 0.5 and 1.
  const auto half = hn::Set(d, 0.5f);
  const auto subnormal =
      hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(d, magnitude), half)), hn::BitCast(du, half));
  const auto nan =
      hn::Or(hn::Set(du, 0x7E00u), hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 0x1FFu)));
  auto rounded = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 0x38800000u)), subnormal, normal);
  rounded =
      hn::IfThenElse(hn::Gt(magnitude, hn::Set(du, 0x477FEFFFu)), hn::Set(du, 0x7C00u), rounded);
  rounded = hn::IfThenElse(hn::Gt(magnitude, hn::Set(du, 0x7F800000u)), nan, rounded);
  rounded = hn::Or(rounded, hn::ShiftRight<16>(sign));
  return hn::DemoteTo(d16, hn::BitCast(hn::RebindToSigned<D>(), rounded));
#endif
}

// The nearest fp16 values, as floats; a NaN stays some NaN.
template <class D>
HWY_INLINE hn::Vec<D> nearest_halves(D d, hn::Vec<D> v) {
  return widen_halves(d, narrow_to_halves(d, v));
}

}  // namespace diptych::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled include guard
