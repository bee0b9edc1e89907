// Vectors of 8 lanes: a chunk of 256 columns in two steps. Included by files that are compiled for
// AVX2 or more; hence the unnamed namespace.
#pragma once

#include <immintrin.h>

#include "kernels/dequantized_tiles.h"
#include "kernels/float_tiles.h"
#include "kernels/integer_tiles.h"
#include "kernels/palette_tiles.h"
#include "kernels/quantize_avx2.h"

namespace diptych::kernels {
namespace {

struct Avx2 {
  using Floats = __m256;
  using Ints = __m256i;
  using Chunk = Chunk256;
  static constexpr int kLanes = 8, kSteps = 2;
  static constexpr int kMaxTile = 6, kMaxFloatTile = 4;
  static constexpr int64_t kPartColumns = 2048;
  static constexpr int kTilesFromFile = 1;
  template <int M>
  static constexpr int kRows = 1;  // of two streams of weights both get slower
  template <int M>
  static constexpr int kTogether = 1;
  template <int M>
  static constexpr int kFloatRows = M == 1 ? 2 : 3;
  using Factor = float;
  static constexpr int kFactors = kLanes;
  template <DType type>
  static constexpr DType kPanelType = type;

  static Floats all(float value) { return _mm256_set1_ps(value); }
  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats load_f32(const float* from) { return _mm256_loadu_ps(from); }
  static void store_f32(Floats a, float* to) { _mm256_storeu_ps(to, a); }
  static Floats load_factors(const float* from) { return load_f32(from); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats to_float(Ints a) { return _mm256_cvtepi32_ps(a); }

  // The lanes' sum, always in this order.
  static float sum(Floats a) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }

  template <int R, int M>
  static void sum_all(const Floats (&a)[R][M], float (&out)[R][M]) {
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      DIPTYCH_UNROLL for (int i = 0; i < M; ++i) out[r][i] = sum(a[r][i]);
    }
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

  static __m256i load_bytes(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i_u*>(from));
  }
  static __m128i load_half(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i_u*>(from));
  }

  template <DType type>
  static Floats load(const std::byte* from) {
    if constexpr (type == DType::F32) return _mm256_castsi256_ps(load_bytes(from));
    if constexpr (type == DType::F16) return _mm256_cvtph_ps(load_half(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_half(from)), 16));
  }

  template <DType type>
  struct Steps {
    __m256 scale, offset;

    Steps() = default;
    Steps(float of_all, float off) : scale(_mm256_set1_ps(of_all)), offset(_mm256_set1_ps(off)) {}
  };
  template <DType type>
  static Floats dequantize(const std::byte* from, const Steps<type>& steps) {
    __m256i integers;
    if constexpr (type == DType::Int4) {
      int32_t nibbles;
      __builtin_memcpy(&nibbles, from, sizeof(nibbles));
      const __m256i to_top = _mm256_setr_epi32(28, 24, 20, 16, 12, 8, 4, 0);
      integers = _mm256_srai_epi32(_mm256_sllv_epi32(_mm256_set1_epi32(nibbles), to_top), 28);
    } else {
      int64_t bytes;
      __builtin_memcpy(&bytes, from, sizeof(bytes));
      integers = _mm256_cvtepi8_epi32(_mm_cvtsi64_si128(bytes));
    }
    return _mm256_mul_ps(_mm256_sub_ps(_mm256_cvtepi32_ps(integers), steps.offset), steps.scale);
  }

  static constexpr int kScaleBytes = 32;
  // Which of a chunk's scales the lanes of a step need.
  static Ints scale_index(const ChunkScales& where, int step) {
    return scale_index(where, _mm256_setr_ps(0, 0, 4, 4, 1, 1, 5, 5), step);
  }
  // For lanes of the given blocks in the first step; each step's are two further on.
  static Ints scale_index(const ChunkScales& where, __m256 blocks, int step) {
    const __m256 before = _mm256_set1_ps(where.phase + static_cast<float>(2 * step));
    const __m256 index =
        _mm256_mul_ps(_mm256_add_ps(blocks, before), _mm256_set1_ps(where.per_scale));
    return _mm256_min_epi32(_mm256_cvttps_epi32(index), _mm256_set1_epi32(where.last));
  }
  static Floats block_scales(const std::byte* from, DType dtype, Ints index) {
    const __m256 scales = dtype == DType::F32 ? _mm256_castsi256_ps(load_bytes(from))
                                              : _mm256_cvtph_ps(load_half(from));
    return _mm256_permutevar8x32_ps(scales, index);
  }

  static Floats half_scales(const std::byte* from, DType dtype, int step, int half) {
    // Of blocks 2 step and 2 step + 1, then of those four further on.
    __m256 scales;
    if (dtype == DType::F32) {
      const std::byte* const at = from + 16 * step;
      scales = _mm256_castsi256_ps(_mm256_set_m128i(load_half(at + 32), load_half(at)));
    } else {
      const std::byte* const at = from + 8 * step;
      const auto four = [&](int64_t offset) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(at + offset));
      };
      scales = _mm256_cvtph_ps(_mm_unpacklo_epi64(four(0), four(16)));
    }
    const __m256i first = _mm256_setr_epi32(0, 0, 4, 4, 2, 2, 6, 6);
    return _mm256_permutevar8x32_ps(scales, _mm256_add_epi32(first, _mm256_set1_epi32(half)));
  }

  // int4: raised to be unsigned. int8: as they are.
  template <DType type>
  static constexpr bool kRaised = type == DType::Int4;
  template <DType type>
  struct Planes {
    __m256i plane[Chunk::kPlanes];
  };
  static __m256i load_plane(const std::byte* from) { return load_bytes(from); }
  static void store_plane(__m256i plane, std::byte* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(to), plane);
  }

  static Ints byte_table(__m128i bytes) { return _mm256_broadcastsi128_si256(bytes); }
  static Ints shuffle(Ints table, Ints plane) { return _mm256_shuffle_epi8(table, plane); }

  // Blocks 2 step, 2 step + 4, 2 step + 1 and 2 step + 5 of the chunk.
  template <DType type>
  static Planes<type> take_apart(const std::byte* from, int64_t step) {
    if constexpr (type == DType::Int4) {
      const __m256i raise = _mm256_set1_epi8(static_cast<char>(0x88));
      const __m256i low = _mm256_set1_epi8(0x0F);
      const __m256i w0 = _mm256_xor_si256(load_bytes(from + 32 * step), raise);
      const __m256i w1 = _mm256_xor_si256(load_bytes(from + 32 * step + 64), raise);
      const __m256i a = _mm256_unpacklo_epi64(w0, w1), b = _mm256_unpackhi_epi64(w0, w1);
      return {{_mm256_and_si256(a, low), _mm256_and_si256(_mm256_srli_epi16(a, 4), low),
               _mm256_and_si256(b, low), _mm256_and_si256(_mm256_srli_epi16(b, 4), low)}};
    } else {
      const std::byte* const blocks = from + 64 * step;
      const __m256i w0 = load_bytes(blocks), w1 = load_bytes(blocks + 32);
      const __m256i w4 = load_bytes(blocks + 128), w5 = load_bytes(blocks + 160);
      const __m256i even0 = _mm256_unpacklo_epi64(w0, w4), odd0 = _mm256_unpackhi_epi64(w0, w4);
      const __m256i even1 = _mm256_unpacklo_epi64(w1, w5), odd1 = _mm256_unpackhi_epi64(w1, w5);
      return {{_mm256_permute2x128_si256(even0, even1, 0x20),
               _mm256_permute2x128_si256(odd0, odd1, 0x20),
               _mm256_permute2x128_si256(even0, even1, 0x31),
               _mm256_permute2x128_si256(odd0, odd1, 0x31)}};
    }
  }

  // Pairs of products are summed in 16 bits. For int4 those of all planes fit: 4 * 2 * 15 * 127 is
  // 15240.
  static Ints dot(const Planes<DType::Int4>& weights, const Chunk& x, int64_t step) {
    const auto products = [&](int i) {
      return _mm256_maddubs_epi16(weights.plane[i], load_bytes(x.planes[i] + 32 * step));
    };
    const __m256i pairs = _mm256_add_epi16(_mm256_add_epi16(products(0), products(1)),
                                           _mm256_add_epi16(products(2), products(3)));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  }

  template <DType type, int R>
  static void dot(const Planes<type> (&weights)[R], const Chunk* const (&x)[1], int64_t step,
                  Ints (&sums)[R][1]) {
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) sums[r][0] = dot(weights[r], *x[0], step);
  }

  static Ints dot_half(const Planes<DType::Int4>& weights, const Chunk& x, int64_t step, int half) {
    const auto products = [&](int i) {
      const __m256i values = load_bytes(x.planes[i] + 32 * step);
      return _mm256_sub_epi16(_mm256_maddubs_epi16(weights.plane[i], values),
                              _mm256_maddubs_epi16(_mm256_set1_epi8(8), values));
    };
    return _mm256_madd_epi16(_mm256_add_epi16(products(2 * half), products(2 * half + 1)),
                             _mm256_set1_epi16(1));
  }

  // For int8 one pair just fits, when it is the activations that are signed: 2 * 128 * 127 is
  // 32512.
  static Ints dot(const Planes<DType::Int8>& weights, const Chunk& x, int64_t step) {
    return _mm256_add_epi32(dot_half(weights, x, step, 0), dot_half(weights, x, step, 1));
  }

  static Ints dot_half(const Planes<DType::Int8>& weights, const Chunk& x, int64_t step, int half) {
    const auto products = [&](int i) {
      const __m256i w = weights.plane[i];
      const __m256i signed_x = _mm256_sign_epi8(load_bytes(x.planes[i] + 32 * step), w);
      return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(w), signed_x),
                               _mm256_set1_epi16(1));
    };
    return _mm256_add_epi32(products(2 * half), products(2 * half + 1));
  }
};

// The kernels over the vectors V, of AVX2 or more.
template <class V>
constexpr Variant vector_variant() {
  using Chunk = typename V::Chunk;
  return {sizeof(Chunk),   Chunk::kColumns,      1, quantize_rows<Avx2Quantizer, Chunk>, linear<V>,
          linear_float<V>, linear_dequantized<V>};
}

template <class V>
constexpr PaletteKernels vector_palettes() {
  return {linear_palette<V>, linear_palette_dequantized<V>};
}

}  // namespace
}  // namespace diptych::kernels
