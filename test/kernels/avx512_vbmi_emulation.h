// Plain C++ stand-ins for the intrinsics of AVX-512 VBMI that src/kernels/palette_avx512_bf16.cc
// uses, beside those for AVX-512, for machines that lack them: each does what Intel's Intrinsics
// Guide says of its namesake.
#pragma once

// NOLINTBEGIN: the names are those of the intrinsics, which are reserved.

#include "avx512_emulation.h"

namespace diptych::kernels {
namespace {

inline Vector512 permute_bytes(const Vector512& index, const Vector512& a) {
  return each<uint8_t>([&](uint8_t i) { return a.bytes[i & 63]; }, index);
}
inline Vector512 permute_two_of_bytes(const Vector512& a, const Vector512& index,
                                      const Vector512& b) {
  return each<uint8_t>([&](uint8_t i) { return (i & 64 ? b : a).bytes[i & 63]; }, index);
}
inline Vector512 multishift(const Vector512& shifts, const Vector512& a) {
  Vector512 r;
  for (int i = 0; i < 64; ++i) {
    const uint64_t lane = Lanes<uint64_t>(a).lane[i / 8];
    const int shift = shifts.bytes[i] & 63;
    r.bytes[i] = static_cast<unsigned char>(lane >> shift | lane << (64 - shift) % 64);
  }
  return r;
}
inline uint64_t top_bits(const Vector512& a) {
  uint64_t mask = 0;
  for (int i = 0; i < 64; ++i) mask |= uint64_t{a.bytes[i]} >> 7 << i;
  return mask;
}
inline Vector512 blend_bytes(uint64_t mask, const Vector512& a, const Vector512& b) {
  Vector512 r;
  for (int i = 0; i < 64; ++i) r.bytes[i] = (mask >> i & 1 ? b : a).bytes[i];
  return r;
}

}  // namespace
}  // namespace diptych::kernels

#define _mm512_permutexvar_epi8 permute_bytes
#define _mm512_permutex2var_epi8 permute_two_of_bytes
#define _mm512_multishift_epi64_epi8 multishift
#define _mm512_movepi8_mask top_bits
#define _mm512_mask_blend_epi8 blend_bytes
#define _mm512_set1_epi64(value) every_lane<int64_t>(value)
// NOLINTEND
