// A plain C++ stand-in for the AVX-VNNI intrinsic that src/kernels/variant_avx_vnni.cc uses, so
// that its logic is tested on machines without AVX-VNNI as well. Included on the compiler's command
// line; does what Intel's Intrinsics Guide says of its namesake.
#pragma once

// NOLINTBEGIN: the name is that of the intrinsic, which is reserved.

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace diptych::kernels {
namespace {

// (Not inlined: the compiler would unroll it thousands of times.)
[[gnu::noinline]] inline __m256i dpbusd_256(__m256i sums, __m256i a, __m256i b) {
  int32_t sum[8];
  uint8_t unsigned_bytes[32];
  int8_t signed_bytes[32];
  std::memcpy(sum, &sums, sizeof sum);
  std::memcpy(unsigned_bytes, &a, sizeof unsigned_bytes);
  std::memcpy(signed_bytes, &b, sizeof signed_bytes);
  for (int i = 0; i < 32; ++i) sum[i / 4] += unsigned_bytes[i] * signed_bytes[i];
  std::memcpy(&sums, sum, sizeof sum);
  return sums;
}

}  // namespace
}  // namespace diptych::kernels

#define _mm256_dpbusd_avx_epi32 diptych::kernels::dpbusd_256

// NOLINTEND
