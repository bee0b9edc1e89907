// Registers of 32 numbers in bf16, two for each of 16 sums. Included by files that are compiled for
// AVX-512 BF16; hence the unnamed namespace.
#pragma once

#include "kernels/avx512.h"

namespace diptych::kernels {
namespace {

struct Avx512Bf16 : Avx512 {
  using Factor = uint16_t;  // the bits
  static constexpr int kFactors = 32;
  template <DType>
  static constexpr DType kPanelType = DType::BF16;

  static __m512bh load_factors(const void* from) {
    return __builtin_bit_cast(__m512bh, _mm512_loadu_si512(from));
  }
  static void store_factors(__m512bh factors, void* to) {
    _mm512_storeu_si512(to, __builtin_bit_cast(__m512i, factors));
  }

  // Rounds to nearest, ties to even.
  template <DType type>
  static __m512bh load(const std::byte* from) {
    if constexpr (type == DType::BF16) return load_factors(from);
    return _mm512_cvtne2ps_pbh(Avx512::load<type>(from + kLanes * kWidth<type>),
                               Avx512::load<type>(from));
  }
  static Floats multiply_add(__m512bh a, __m512bh b, Floats c) { return _mm512_dpbf16_ps(c, a, b); }
};

}  // namespace
}  // namespace diptych::kernels
