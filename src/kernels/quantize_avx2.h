// Quantisation of rows by AVX2, for its variant and for those that have more. Does what
// PlainQuantizer does, bit for bit.
#pragma once

#include <immintrin.h>

#include "kernels/quantize_rows.h"

namespace diptych::kernels {
namespace {

struct Avx2Quantizer {
  template <class Chunk>
  static float quantize_block(const float* x, DType weights, int8_t* out) {
    const __m256 v[] = {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8), _mm256_loadu_ps(x + 16),
                        _mm256_loadu_ps(x + 24)};
    const BlockScale scale(largest_magnitude(v));
    __m256i bytes = _mm256_setzero_si256();
    if (scale.is_usual()) {
      const __m256 inverse = _mm256_set1_ps(scale.inverse);
      const auto integers = [&](int i) { return _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse)); };
      // Packing goes by halves of registers; the last step puts the columns in order.
      const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(integers(0), integers(1)),
                                                _mm256_packs_epi32(integers(2), integers(3)));
      bytes = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    }
    if (weights == DType::Int4) bytes = _mm256_shuffle_epi8(bytes, even_and_odd<Chunk>());
    _mm256_store_si256(reinterpret_cast<__m256i*>(out), bytes);
    return scale.scale;
  }

  template <class Chunk>
  static void set_offsets(DType weights, Chunk& chunk) {
    const __m256i ones = _mm256_set1_epi8(1);
    for (int half = 0; half < 2; ++half) {
      __m256i pairs = _mm256_setzero_si256();
      for (const auto& plane : chunk.planes) {
        const auto* const bytes = reinterpret_cast<const __m256i*>(plane + 32 * half);
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(ones, _mm256_load_si256(bytes)));
      }
      const __m256i sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
      const __m256i raised = _mm256_slli_epi32(sums, weights == DType::Int4 ? 3 : 7);
      const __m256i offsets = _mm256_sub_epi32(_mm256_setzero_si256(), raised);
      _mm256_store_ps(
          chunk.offsets + 8 * half,
          _mm256_mul_ps(_mm256_cvtepi32_ps(offsets), _mm256_load_ps(chunk.scales + 8 * half)));
    }
  }

 private:
  static uint32_t largest_magnitude(const __m256 (&v)[4]) {
    const __m256i no_sign = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i largest = _mm256_setzero_si256();
    for (const __m256 values : v) {
      largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(values), no_sign));
    }
    const __m128i four =
        _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return static_cast<uint32_t>(
        _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xB1))));
  }

  // The order of bytes that gives planes their even and odd columns.
  template <class Chunk>
  static __m256i even_and_odd() {
    const __m128i order = Chunk::kBlockBytes == 8
                              ? _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15)
                              : _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    return _mm256_broadcastsi128_si256(order);
  }
};

}  // namespace
}  // namespace diptych::kernels
