// AVX-512 with arithmetic in bf16: vdpbf16ps adds two products to each of 16 sums.
#if defined(__x86_64__)

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
  static __m512bh round(Floats first, Floats second) { return _mm512_cvtne2ps_pbh(second, first); }

  template <DType type>
  static __m512bh load(const std::byte* from) {
    if constexpr (type == DType::BF16) return load_factors(from);
    return round(Avx512::load<type>(from), Avx512::load<type>(from + 32));
  }
  static Floats multiply_add(__m512bh a, __m512bh b, Floats c) { return _mm512_dpbf16_ps(c, a, b); }
};

void round_rows(const Bf16Call& call, std::byte* out) {
  for (int64_t m = call.first; m < call.last; ++m) {
    const float* const from = call.x + m * call.x_stride;
    std::byte* const to = out + 2 * m * call.columns;
    int64_t at = 0;
    for (; at + Avx512Bf16::kFactors <= call.columns; at += Avx512Bf16::kFactors) {
      Avx512Bf16::store_factors(
          Avx512Bf16::round(Avx512::load_f32(from + at), Avx512::load_f32(from + at + kLanes)),
          to + 2 * at);
    }
    if (at == call.columns) continue;
    const auto rest = static_cast<size_t>(call.columns - at);
    float some[Avx512Bf16::kFactors] = {};
    __builtin_memcpy(some, from + at, rest * sizeof(float));
    uint16_t rounded[Avx512Bf16::kFactors];
    Avx512Bf16::store_factors(
        Avx512Bf16::round(Avx512::load_f32(some), Avx512::load_f32(some + kLanes)), rounded);
    __builtin_memcpy(to + 2 * at, rounded, 2 * rest);
  }
}

void linear_bf16(const FloatWeight& weight, const Bf16Activations& x, int64_t first, int64_t last,
                 const Output& y) {
  const InputRows<uint16_t> rows{reinterpret_cast<const uint16_t*>(x.data), x.columns, x.rows};
  const FloatCall<Avx512Bf16> call{weight, rows, last, y};
  if (weight.dtype == DType::F16) {
    multiply_floats<Avx512Bf16, DType::F16>(call, first);
  } else {
    multiply_floats<Avx512Bf16, DType::BF16>(call, first);
  }
}

}  // namespace

const Bf16Kernels kAvx512Bf16Kernels = {round_rows, linear_bf16};

}  // namespace diptych::kernels

#endif
