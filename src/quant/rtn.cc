#include "quant/rtn.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "base/half.h"
#include "quant/format.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/rtn.cc"
#include <hwy/foreach_target.h>
// foreach_target must come first.
#include <hwy/highway.h>
// After the two above, which it relies on.
#include "tensor/halves-inl.h"

#ifndef DIPTYCH_RTN_ONCE
#define DIPTYCH_RTN_ONCE

namespace diptych::quant {

// What the two element types differ in. Bits is the unsigned integer of T's size.
template <class T>
struct Arithmetic;

template <>
struct Arithmetic<uint16_t> {
  using Bits = uint16_t;
  static constexpr Bits kMagnitude = 0x7FFF, kInfinity = 0x7C00;
  static constexpr float kSmallestNormal = 0x1p-14f;
  static float load(uint16_t stored) { return half_to_float(stored); }
  static float magnitude(Bits bits) { return half_to_float(bits); }
  static float round(float value) { return round_to_half(value); }
};

template <>
struct Arithmetic<float> {
  using Bits = uint32_t;
  static constexpr Bits kMagnitude = 0x7FFFFFFF, kInfinity = 0x7F800000;
  static constexpr float kSmallestNormal = 0x1p-126f;
  static float load(float stored) { return stored; }
  static float magnitude(Bits bits) { return std::bit_cast<float>(bits); }
  static float round(float value) { return value; }
};

// The scale of a group whose largest magnitude is m.
template <class T>
float scale_of(float m, int bits) {
  return std::max(Arithmetic<T>::round(m / half_range(bits)), Arithmetic<T>::kSmallestNormal);
}

template <class T>
int8_t code_of(T weight, float inverse, int bits) {
  const float scaled = Arithmetic<T>::round(Arithmetic<T>::load(weight) * inverse);
  return static_cast<int8_t>(std::clamp(std::nearbyint(scaled),
                                        static_cast<float>(lowest_code(bits)),
                                        static_cast<float>(highest_code(bits))));
}

// Magnitudes of finite floats are ordered as their bits are, infinity and NaN above them all.
template <class T>
typename Arithmetic<T>::Bits magnitude_bits(T weight) {
  return std::bit_cast<typename Arithmetic<T>::Bits>(weight) & Arithmetic<T>::kMagnitude;
}

template <class T>
bool reference(const T* in, size_t groups, size_t group, int bits, int8_t* codes, float* scales) {
  using A = Arithmetic<T>;
  for (size_t g = 0; g < groups; ++g, in += group) {
    typename A::Bits largest = 0;
    for (size_t i = 0; i < group; ++i) largest = std::max(largest, magnitude_bits(in[i]));
    if (largest >= A::kInfinity) return false;
    const float scale = scale_of<T>(A::magnitude(largest), bits);
    scales[g] = scale;
    if (!codes) continue;
    const float inverse = A::round(1.0f / scale);
    for (size_t i = 0; i < group; ++i) *codes++ = code_of(in[i], inverse, bits);
  }
  return true;
}

}  // namespace diptych::quant
#endif  // DIPTYCH_RTN_ONCE

HWY_BEFORE_NAMESPACE();
namespace diptych::quant {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using diptych::HWY_NAMESPACE::nearest_halves;
using diptych::HWY_NAMESPACE::widen_halves;

// The largest magnitude, as bits.
template <class T>
typename Arithmetic<T>::Bits largest_magnitude(const T* in, size_t count) {
  using Bits = typename Arithmetic<T>::Bits;
  // Signed lanes: magnitudes have no sign bit, and signed maxima exist on every target.
  using Signed = std::make_signed_t<Bits>;
  const hn::ScalableTag<Signed> d;
  const hn::Repartition<T, decltype(d)> d_in;
  const auto mask = hn::Set(d, static_cast<Signed>(Arithmetic<T>::kMagnitude));
  auto largest = hn::Zero(d);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    largest = hn::Max(largest, hn::And(hn::BitCast(d, hn::LoadU(d_in, in + i)), mask));
  }
  auto result = static_cast<Bits>(hn::GetLane(hn::MaxOfLanes(d, largest)));
  for (; i < count; ++i) result = std::max(result, magnitude_bits(in[i]));
  return result;
}

template <class D>
hn::Vec<D> load_floats(D d, const float* in) {
  return hn::LoadU(d, in);
}
template <class D>
hn::Vec<D> load_floats(D d, const uint16_t* in) {
  return widen_halves(d, hn::LoadU(hn::Rebind<uint16_t, D>(), in));
}

template <class T, class D>
hn::Vec<D> round_product(D d, hn::Vec<D> product) {
  if constexpr (std::is_same_v<T, float>) {
    return product;
  } else {
    return nearest_halves(d, product);
  }
}

template <class T>
void write_codes(const T* in, size_t count, float inverse, int bits, int8_t* codes) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<int32_t, decltype(d)> di;
  const hn::Rebind<int8_t, decltype(d)> d8;
  const auto scale = hn::Set(d, inverse);
  const auto lowest = hn::Set(di, lowest_code(bits));
  const auto highest = hn::Set(di, highest_code(bits));
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    const auto scaled = round_product<T>(d, hn::Mul(load_floats(d, in + i), scale));
    const auto code = hn::Min(hn::Max(hn::NearestInt(scaled), lowest), highest);
    hn::StoreU(hn::DemoteTo(d8, code), d8, codes + i);
  }
  for (; i < count; ++i) codes[i] = code_of(in[i], inverse, bits);
}

template <class T>
bool vectorised(const T* in, size_t groups, size_t group, int bits, int8_t* codes, float* scales) {
  using A = Arithmetic<T>;
  for (size_t g = 0; g < groups; ++g) {
    const auto largest = largest_magnitude(in + g * group, group);
    if (largest >= A::kInfinity) return false;
    const float scale = scale_of<T>(A::magnitude(largest), bits);
    scales[g] = scale;
    if (codes) {
      write_codes(in + g * group, group, A::round(1.0f / scale), bits, codes + g * group);
    }
  }
  return true;
}

bool quantize_f16(const uint16_t* in, size_t groups, size_t group, int bits, int8_t* codes,
                  float* scales) {
  return vectorised(in, groups, group, bits, codes, scales);
}
bool quantize_f32(const float* in, size_t groups, size_t group, int bits, int8_t* codes,
                  float* scales) {
  return vectorised(in, groups, group, bits, codes, scales);
}

}  // namespace HWY_NAMESPACE
}  // namespace diptych::quant
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::quant {

HWY_EXPORT(quantize_f16);
HWY_EXPORT(quantize_f32);

bool quantize_groups(const uint16_t* in, size_t groups, size_t group, int bits, int8_t* codes,
                     float* scales) {
  return HWY_DYNAMIC_DISPATCH(quantize_f16)(in, groups, group, bits, codes, scales);
}
bool quantize_groups(const float* in, size_t groups, size_t group, int bits, int8_t* codes,
                     float* scales) {
  return HWY_DYNAMIC_DISPATCH(quantize_f32)(in, groups, group, bits, codes, scales);
}

bool quantize_groups_reference(const uint16_t* in, size_t groups, size_t group, int bits,
                               int8_t* codes, float* scales) {
  return reference(in, groups, group, bits, codes, scales);
}
bool quantize_groups_reference(const float* in, size_t groups, size_t group, int bits,
                               int8_t* codes, float* scales) {
  return reference(in, groups, group, bits, codes, scales);
}

}  // namespace diptych::quant
#endif  // HWY_ONCE
