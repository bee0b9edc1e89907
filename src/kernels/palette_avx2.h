// Looks up indices by AVX2, for its variant and for those that have more. Included by files that
// are compiled for that; hence the unnamed namespace.
#pragma once

#include <immintrin.h>

#include "kernels/palette.h"
#include "kernels/tiles.h"

namespace diptych::kernels {
namespace {

// Bytes behind a chunk of indices of 6 bits that are read with it.
constexpr int64_t kSpareIndexBytes = 16;

// 32 indices of 6 bits, a byte each. Three bytes hold four of them.
inline __m256i unpack_six_bits(const std::byte* from) {
  const auto half = [from](int64_t at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from + at));
  };
  // In 16 bits each: the first pair of a four in the low 12, the second in the high 12.
  const __m256i order =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11));
  const __m256i pairs = _mm256_shuffle_epi8(_mm256_set_m128i(half(12), half(0)), order);
  const __m256i to_top = _mm256_mullo_epi16(pairs, _mm256_set1_epi32(0x0001'0010));
  const __m256i first = _mm256_and_si256(_mm256_srli_epi16(to_top, 4), _mm256_set1_epi16(0x003F));
  const __m256i second = _mm256_and_si256(_mm256_srli_epi16(to_top, 2), _mm256_set1_epi16(0x3F00));
  return _mm256_or_si256(first, second);
}

// 16 bytes of a table for each half of a register.
inline __m256i sixteen_entries(const int8_t* table) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(table)));
}

// The entries of a table of 16 << levels bytes: of each half of the table by the lower bits of the
// index, and then one of the two by the bit above. (A shuffle looks at the lowest four bits where
// the highest is 0, as in `low`; a blend at the highest bit.)
template <int levels>
[[gnu::always_inline]] inline __m256i look_up(const int8_t* table, __m256i index, __m256i low) {
  if constexpr (levels == 0) {
    return _mm256_shuffle_epi8(sixteen_entries(table), low);
  } else {
    const __m256i a = look_up<levels - 1>(table, index, low);
    const __m256i b = look_up<levels - 1>(table + (8 << levels), index, low);
    return _mm256_blendv_epi8(a, b, _mm256_slli_epi16(index, 4 - levels));
  }
}

// The bytes of a table for `columns` indices.
template <int bits, int64_t columns>
void look_up_bytes(const std::byte* from, const int8_t* table, std::byte* to) {
  for (int64_t i = 0; i < columns; i += 32) {
    __m256i index;
    if constexpr (bits == 6) {
      index = unpack_six_bits(from + i * 6 / 8);
    } else {
      index = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(from + i));
    }
    const __m256i low = _mm256_and_si256(index, _mm256_set1_epi8(0x0F));
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(to + i), look_up<bits - 4>(table, index, low));
  }
}

// The floats of a table for `columns` indices, from a byte's first bit on.
template <int bits>
void look_up_floats(const std::byte* from, const float* table, int64_t columns, float* to) {
  const auto byte = [from](int64_t at) { return static_cast<uint32_t>(from[at]); };
  int64_t i = 0;
  if constexpr (bits == 4) {
    const __m256 low = _mm256_loadu_ps(table), high = _mm256_loadu_ps(table + 8);
    const __m256i shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    for (; i + 8 <= columns; i += 8) {
      int32_t nibbles;
      __builtin_memcpy(&nibbles, from + i / 2, sizeof(nibbles));
      const __m256i index = _mm256_srlv_epi32(_mm256_set1_epi32(nibbles), shifts);
      const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
      _mm256_storeu_ps(to + i, _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index),
                                                _mm256_permutevar8x32_ps(high, index), upper));
    }
    for (; i < columns; ++i) to[i] = table[byte(i / 2) >> (i % 2 * 4) & 15];
  } else if constexpr (bits == 6) {
    for (; i + 4 <= columns; i += 4) {
      const int64_t at = i * 6 / 8;
      const uint32_t four = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16;
      for (int j = 0; j < 4; ++j) to[i + j] = table[four >> (6 * j) & 63];
    }
  } else {
    for (; i < columns; ++i) to[i] = table[byte(i)];
  }
}

}  // namespace
}  // namespace diptych::kernels
