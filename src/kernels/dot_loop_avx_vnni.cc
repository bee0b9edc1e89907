// Compiled for AVX-VNNI and run only where it is; nothing here may be defined elsewhere too.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/variant.h"

namespace diptych::kernels {

namespace {

constexpr int kChains = 12;  // sums that do not wait for one another

int32_t run(int64_t rounds) {
  const __m256i weights = _mm256_set1_epi8(3), x = _mm256_set1_epi8(-2);
  __m256i sums[kChains];
  // All loops over the sums are unrolled, or the sums would pass through memory.
  _Pragma("GCC unroll 16") for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (int64_t round = 0; round < rounds; ++round) {
    _Pragma("GCC unroll 16") for (__m256i& sum : sums) {
      sum = _mm256_dpbusd_avx_epi32(sum, weights, x);
      __asm__ volatile("" : "+x"(sum));  // so that the rounds are not added up beforehand
    }
  }
  __m256i all = sums[0];
  _Pragma("GCC unroll 16") for (int i = 1; i < kChains; ++i) all = _mm256_add_epi32(all, sums[i]);
  return _mm256_extract_epi32(all, 0);
}

}  // namespace

// As with AVX-512, weights of 4 bits are made bytes first.
const DotLoops kAvxVnniDotLoops = {
    .int4 = {int64_t{kChains} * 32, run}, .int8 = {int64_t{kChains} * 32, run}, .bf16 = {}};

}  // namespace diptych::kernels

#endif
