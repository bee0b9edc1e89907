// Compiled for AVX-512 with VNNI and run only where they are; nothing here may be defined elsewhere
// too.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/variant.h"

namespace diptych::kernels {

namespace {

constexpr int kChains = 12;  // sums that do not wait for one another

int32_t run(int64_t rounds) {
  const __m512i weights = _mm512_set1_epi8(3), x = _mm512_set1_epi8(-2);
  __m512i sums[kChains];
  // All loops over the sums are unrolled, or the sums would pass through memory.
  _Pragma("GCC unroll 16") for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (int64_t round = 0; round < rounds; ++round) {
    _Pragma("GCC unroll 16") for (__m512i& sum : sums) {
      sum = _mm512_dpbusd_epi32(sum, weights, x);
      __asm__ volatile("" : "+v"(sum));  // so that the rounds are not added up beforehand
    }
  }
  __m512i all = sums[0];
  _Pragma("GCC unroll 16") for (int i = 1; i < kChains; ++i) all = _mm512_add_epi32(all, sums[i]);
  return _mm_cvtsi128_si32(_mm512_castsi512_si128(all));
}

}  // namespace

// Weights of 4 bits are made bytes first: then they are multiplied like those of 8.
const DotLoops kAvx512DotLoops = {
    .int4 = {int64_t{kChains} * 64, run}, .int8 = {int64_t{kChains} * 64, run}, .bf16 = {}};

}  // namespace diptych::kernels

#endif
