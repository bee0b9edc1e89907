// 16 lanes at a time, with the dot products of VNNI.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/quantize_row.h"
#include "kernels/tiles.h"

namespace diptych::kernels {

namespace {

struct Avx512 {
  using Floats = __m512;
  using Ints = __m512i;
  static constexpr int kLanes = 16, kSteps = 1;
  static constexpr int kMaxTile = 6, kMaxFloatTile = 6;
  template <int M>
  static constexpr int kRows = M == 1 ? 1 : 2;
  template <int M>
  static constexpr int kFloatRows = 4;

  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats load_f32(const float* from) { return _mm512_loadu_ps(from); }
  static void store_f32(Floats a, float* to) { _mm512_storeu_ps(to, a); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats to_float(Ints a) { return _mm512_cvtepi32_ps(a); }

  // The lanes' sum, always in this order.
  static float sum(Floats a) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  static float scalar(const std::byte* from, DType dtype) {
    if (dtype == DType::F32) {
      float value;
      __builtin_memcpy(&value, from, sizeof(value));
      return value;
    }
    uint16_t bits;
    __builtin_memcpy(&bits, from, sizeof(bits));
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)));
  }

  template <DType type>
  static Floats load(const std::byte* from) {
    if constexpr (type == DType::F32) return _mm512_loadu_ps(from);
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(from));
    if constexpr (type == DType::F16) return _mm512_cvtph_ps(bits);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }

  static constexpr int kScaleBytes = 32;
  // Which of a chunk's scales the lanes need.
  static Ints scale_index(const ChunkScales& where, int /*step*/) {
    const __m512 blocks = _mm512_setr_ps(0, 0, 4, 4, 1, 1, 5, 5, 2, 2, 6, 6, 3, 3, 7, 7);
    const __m512 index = _mm512_mul_ps(_mm512_add_ps(blocks, _mm512_set1_ps(where.phase)),
                                       _mm512_set1_ps(where.per_scale));
    return _mm512_min_epi32(_mm512_cvttps_epi32(index), _mm512_set1_epi32(where.last));
  }
  static Floats block_scales(const std::byte* from, DType dtype, Ints index) {
    const __m256 scales =
        dtype == DType::F32
            ? _mm256_loadu_ps(reinterpret_cast<const float*>(from))
            : _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from)));
    return _mm512_permutexvar_ps(index, _mm512_castps256_ps512(scales));
  }

  // Weights raised to be unsigned: VNNI multiplies unsigned with signed bytes.
  template <DType type>
  static constexpr bool kRaised = true;
  template <DType type>
  struct Planes {
    __m512i plane[kPlanes];
  };

  template <DType type>
  static Planes<type> take_apart(const std::byte* from, int /*step*/) {
    const auto load = [from](int i) { return _mm512_loadu_si512(from + 64 * i); };
    if constexpr (type == DType::Int4) {
      const __m512i raise = _mm512_set1_epi8(static_cast<char>(0x88));
      const __m512i low = _mm512_set1_epi8(0x0F);
      const __m512i w0 = load(0), w1 = load(1);
      // (bytes ^ raise) & low
      const auto nibbles = [&](__m512i bytes) {
        return _mm512_ternarylogic_epi32(bytes, raise, low, 0x28);
      };
      const __m512i a = _mm512_unpacklo_epi64(w0, w1), b = _mm512_unpackhi_epi64(w0, w1);
      return {{nibbles(a), nibbles(_mm512_srli_epi16(a, 4)), nibbles(b),
               nibbles(_mm512_srli_epi16(b, 4))}};
    } else {
      const __m512i raise = _mm512_set1_epi8(static_cast<char>(0x80));
      const __m512i w0 = load(0), w1 = load(1), w2 = load(2), w3 = load(3);
      const __m512i even01 = _mm512_unpacklo_epi64(w0, w2), odd01 = _mm512_unpackhi_epi64(w0, w2);
      const __m512i even23 = _mm512_unpacklo_epi64(w1, w3), odd23 = _mm512_unpackhi_epi64(w1, w3);
      const auto raised = [&](__m512i bytes) { return _mm512_xor_si512(bytes, raise); };
      return {{raised(_mm512_shuffle_i64x2(even01, even23, 0x88)),
               raised(_mm512_shuffle_i64x2(odd01, odd23, 0x88)),
               raised(_mm512_shuffle_i64x2(even01, even23, 0xDD)),
               raised(_mm512_shuffle_i64x2(odd01, odd23, 0xDD))}};
    }
  }

  template <DType type>
  static Ints dot(const Planes<type>& weights, const ActivationChunk& x, int /*step*/) {
    Ints sum = _mm512_setzero_si512();
    for (int i = 0; i < kPlanes; ++i) {
      sum = _mm512_dpbusd_epi32(sum, weights.plane[i], _mm512_loadu_si512(x.planes[i]));
    }
    return sum;
  }
};

}  // namespace

const Variant kAvx512Variant = {quantize_row, linear<Avx512>, linear_float<Avx512>};

}  // namespace diptych::kernels

#endif
