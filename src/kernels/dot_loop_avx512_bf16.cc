// Compiled for AVX-512 BF16 and run only where it is; nothing here may be defined elsewhere too.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/variant.h"

namespace diptych::kernels {

namespace {

constexpr int kChains = 24;  // sums that do not wait for one another

int32_t run(int64_t rounds) {
  // Small enough for the sums to stay finite: they settle where a product is less than half of
  // their last bit.
  const auto factors = __builtin_bit_cast(__m512bh, _mm512_set1_epi16(0x3C00));
  __m512 sums[kChains];
  // All loops over the sums are unrolled, or the sums would pass through memory.
  _Pragma("GCC unroll 24") for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (int64_t round = 0; round < rounds; ++round) {
    _Pragma("GCC unroll 24") for (__m512& sum : sums) {
      sum = _mm512_dpbf16_ps(sum, factors, factors);
      __asm__ volatile("" : "+v"(sum));
    }
  }
  __m512 all = sums[0];
  _Pragma("GCC unroll 24") for (int i = 1; i < kChains; ++i) all = _mm512_add_ps(all, sums[i]);
  return _mm_cvtsi128_si32(_mm512_castsi512_si128(_mm512_castps_si512(all)));
}

}  // namespace

const DotLoops kAvx512Bf16DotLoops = {.int4 = {}, .int8 = {}, .bf16 = {int64_t{kChains} * 32, run}};

}  // namespace diptych::kernels

#endif
