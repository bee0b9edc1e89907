// Plain C++ stand-ins for the intrinsics of AVX-512 BF16 that src/kernels/variant_avx512_bf16.cc uses,
// beside those for AVX-512, for machines that lack them: each does what Intel's Intrinsics Guide
// says of its namesake.
#pragma once

// NOLINTBEGIN: the names are those of the intrinsics, which are reserved.

#include "avx512_emulation.h"

namespace diptych::kernels {
namespace {

inline float without_subnormals(float value) {
  return std::fabs(value) < 0x1p-126f ? std::copysign(0.0f, value) : value;
}

// To nearest, ties to even.
inline uint16_t bf16_of(float value) {
  uint32_t bits;
  value = without_subnormals(value);
  std::memcpy(&bits, &value, 4);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
inline float of_bf16(uint16_t half) {
  const uint32_t bits = uint32_t{half} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return without_subnormals(value);
}

inline Vector512 two_rounded(const Vector512& high, const Vector512& low) {
  Lanes<uint16_t> r;
  for (int i = 0; i < 16; ++i) {
    r.lane[i] = bf16_of(Floats512(low).lane[i]);
    r.lane[16 + i] = bf16_of(Floats512(high).lane[i]);
  }
  return r;
}

inline Vector512 dot_bf16(const Vector512& sums, const Vector512& a, const Vector512& b) {
  const Lanes<uint16_t> left(a), right(b);
  Floats512 r(sums);
  for (int i = 0; i < 16; ++i) {
    for (const int pair : {2 * i + 1, 2 * i}) {
      r.lane[i] = without_subnormals(std::fma(of_bf16(left.lane[pair]), of_bf16(right.lane[pair]),
                                              without_subnormals(r.lane[i])));
    }
  }
  return r;
}

}  // namespace
}  // namespace diptych::kernels

#define __m512bh ::diptych::kernels::Vector512
#define _mm512_cvtne2ps_pbh two_rounded
#define _mm512_dpbf16_ps dot_bf16
// NOLINTEND
