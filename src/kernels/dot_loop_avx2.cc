// Compiled for AVX2 and run only where there is one; nothing here may be defined elsewhere too.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/variant.h"

namespace diptych::kernels {

namespace {

constexpr int kPlanes = 4;  // registers of 32 bytes that are summed before the sum is widened
constexpr int kChains = 3;  // sums that do not wait for one another

// Products of kPlanes registers of weights with as many of activations, as 32-bit sums.
__m256i dot_int4(const __m256i (&weights)[kPlanes], const __m256i (&x)[kPlanes]) {
  // Of four bits, the sums of pairs of all planes fit 16.
  const __m256i a = _mm256_maddubs_epi16(weights[0], x[0]);
  const __m256i b = _mm256_maddubs_epi16(weights[1], x[1]);
  const __m256i c = _mm256_maddubs_epi16(weights[2], x[2]);
  const __m256i d = _mm256_maddubs_epi16(weights[3], x[3]);
  const __m256i pairs = _mm256_add_epi16(_mm256_add_epi16(a, b), _mm256_add_epi16(c, d));
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

__m256i dot_int8(const __m256i (&weights)[kPlanes], const __m256i (&x)[kPlanes]) {
  __m256i sums[kPlanes];
  for (int i = 0; i < kPlanes; ++i) {
    sums[i] = _mm256_madd_epi16(_mm256_maddubs_epi16(weights[i], x[i]), _mm256_set1_epi16(1));
  }
  return _mm256_add_epi32(_mm256_add_epi32(sums[0], sums[1]), _mm256_add_epi32(sums[2], sums[3]));
}

template <__m256i (*dot)(const __m256i (&)[kPlanes], const __m256i (&)[kPlanes])>
int32_t run(int64_t rounds) {
  __m256i weights[kPlanes], x[kPlanes], sums[kChains];
  for (int i = 0; i < kPlanes; ++i) {
    weights[i] = _mm256_set1_epi8(static_cast<char>(i + 1));
    x[i] = _mm256_set1_epi8(static_cast<char>(i - 2));
  }
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (int64_t round = 0; round < rounds; ++round) {
    for (__m256i& sum : sums) {
      // Weights that might be others each time, so that their products are computed each time.
      __asm__ volatile("" : "+x"(weights[0]), "+x"(weights[1]), "+x"(weights[2]), "+x"(weights[3]));
      sum = _mm256_add_epi32(sum, dot(weights, x));
    }
  }
  __m256i all = sums[0];
  for (int i = 1; i < kChains; ++i) all = _mm256_add_epi32(all, sums[i]);
  return _mm256_extract_epi32(all, 0);
}

constexpr int64_t kMultiplyAdds = int64_t{kChains} * kPlanes * 32;

}  // namespace

const DotLoops kAvx2DotLoops = {
    .int4 = {kMultiplyAdds, run<dot_int4>}, .int8 = {kMultiplyAdds, run<dot_int8>}, .bf16 = {}};

}  // namespace diptych::kernels

#endif
