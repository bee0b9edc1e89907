// Vectors of 16 lanes, one for each block of a chunk, with the dot products of VNNI. Included by
// files that are compiled for AVX-512; hence the unnamed namespace.
#pragma once

#include <immintrin.h>

#include "kernels/avx2.h"

namespace diptych::kernels {
namespace {

struct Avx512 {
  using Floats = __m512;
  using Ints = __m512i;
  using Chunk = Chunk512;
  static constexpr int kLanes = 16, kSteps = 1;
  static constexpr int kMaxTile = 6, kMaxFloatTile = 6;
  template <DType type>
  static constexpr int kMaxStreamed = kMaxTile;
  static constexpr int64_t kPartColumns = 4096;
  static constexpr int64_t rows_for_panels(int64_t /*chunks*/) { return 13; }
  // For few rows of x memory is the limit, and one stream comes faster than two.
  template <int M>
  static constexpr int kRows = M <= 3 ? 1 : 2;
  template <int M>
  static constexpr int kTogether = M;
  static constexpr bool kLanesAreRows = false;
  template <int M>
  static constexpr int kFloatRows = M == 1 ? 1 : 4;
  using Factor = float;
  static constexpr int kFactors = kLanes;
  template <DType type>
  static constexpr DType kPanelType = type;

  static Floats all(float value) { return _mm512_set1_ps(value); }
  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats load_f32(const float* from) { return _mm512_loadu_ps(from); }
  static void store_f32(Floats a, float* to) { _mm512_storeu_ps(to, a); }
  static Floats load_factors(const float* from) { return load_f32(from); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats to_float(Ints a) { return _mm512_cvtepi32_ps(a); }

  // Each of the sums, in the same order, several at a time.
  template <int R, int M>
  static void sum_all(const Floats (&a)[R][M], float (&out)[R][M]) {
    constexpr int kFours = R * M / 4 * 4;
    DIPTYCH_UNROLL for (int i = 0; i < kFours; i += 4) {
      const auto at = [&](int j) { return a[(i + j) / M][(i + j) % M]; };
      const __m128 four = sum_four(at(0), at(1), at(2), at(3));
      float some[4];
      _mm_storeu_ps(some, four);
      DIPTYCH_UNROLL for (int j = 0; j < 4; ++j) out[(i + j) / M][(i + j) % M] = some[j];
    }
    DIPTYCH_UNROLL for (int i = kFours; i < R * M; ++i) out[i / M][i % M] = sum(a[i / M][i % M]);
  }
  static __m128 sum_four(Floats a, Floats b, Floats c, Floats d) {
    const auto halves_added = [](Floats x, Floats y) {
      return _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x44), _mm512_shuffle_f32x4(x, y, 0xEE));
    };
    const Floats ab = halves_added(a, b), cd = halves_added(c, d);
    const Floats quarters =  // one for each of them
        _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
    const Floats twos = _mm512_add_ps(quarters, _mm512_permute_ps(quarters, 0x4E));
    const Floats sums = _mm512_add_ps(twos, _mm512_permute_ps(twos, 0xB1));
    const __m512i firsts = _mm512_set4_epi32(12, 8, 4, 0);
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, sums));
  }

  // y[i * stride + r] is that of a[r][i], times scale[r], for the first `rows` of R.
  template <int R, int M>
  static void store_sums(const Floats (&a)[R][M], const float (&scale)[R], int rows, float* y,
                         int64_t stride) {
    if constexpr (R == 2) {
      if (rows == R) return store_pairs(a, scale, y, stride);
    }
    float sums[R][M];
    sum_all(a, sums);
    for (int r = 0; r < rows; ++r) {
      DIPTYCH_UNROLL for (int i = 0; i < M; ++i) y[i * stride + r] = sums[r][i] * scale[r];
    }
  }
  template <int M>
  static void store_pairs(const Floats (&a)[2][M], const float (&scale)[2], float* y,
                          int64_t stride) {
    const __m128 scales = _mm_setr_ps(scale[0], scale[1], scale[0], scale[1]);
    DIPTYCH_UNROLL for (int i = 0; i + 1 < M; i += 2) {
      const __m128 four = _mm_mul_ps(sum_four(a[0][i], a[1][i], a[0][i + 1], a[1][i + 1]), scales);
      _mm_storel_pi(reinterpret_cast<__m64*>(y + i * stride), four);
      _mm_storeh_pi(reinterpret_cast<__m64*>(y + (i + 1) * stride), four);
    }
    if constexpr (M % 2 == 1) {
      DIPTYCH_UNROLL for (int r = 0; r < 2; ++r) y[(M - 1) * stride + r] =
          sum(a[r][M - 1]) * scale[r];
    }
  }

  // The lanes' sum, always in this order.
  static float sum(Floats a) {
    return Avx2::sum(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)));
  }

  static float scalar(const std::byte* from, DType dtype) { return Avx2::scalar(from, dtype); }

  template <DType type>
  static Floats load(const std::byte* from) {
    if constexpr (type == DType::F32) return _mm512_loadu_ps(from);
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(from));
    if constexpr (type == DType::F16) return _mm512_cvtph_ps(bits);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }

  // int4: what each value of 4 bits stands for. int8: the scale and the offset.
  template <DType type>
  struct Steps {
    __m512 table, offset;

    Steps() = default;
    Steps(float scale, float off) : table(_mm512_set1_ps(scale)), offset(_mm512_set1_ps(off)) {
      if constexpr (type == DType::Int4) {
        const __m512 codes = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1);
        table = _mm512_mul_ps(table, _mm512_sub_ps(codes, offset));
      }
    }
  };
  template <DType type>
  static Floats dequantize(const std::byte* from, const Steps<type>& steps) {
    if constexpr (type == DType::Int4) {
      int64_t nibbles;
      __builtin_memcpy(&nibbles, from, sizeof(nibbles));
      const __m512i halves = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
      const __m512i to_bottom =
          _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
      const __m512i both = _mm512_castsi128_si512(_mm_cvtsi64_si128(nibbles));
      // Of an index the low 4 bits count.
      const __m512i index = _mm512_srlv_epi32(_mm512_permutexvar_epi32(halves, both), to_bottom);
      return _mm512_permutexvar_ps(index, steps.table);
    } else {
      const __m512 integers = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(Avx2::load_half(from)));
      return _mm512_mul_ps(_mm512_sub_ps(integers, steps.offset), steps.table);
    }
  }

  static constexpr int kScaleBytes = 64;
  using ScaleIndex = Ints;
  static ScaleIndex scale_index(const ChunkScales& where, int /*step*/) {
    const __m512 blocks = _mm512_setr_ps(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512 index = _mm512_mul_ps(_mm512_add_ps(blocks, _mm512_set1_ps(where.phase)),
                                       _mm512_set1_ps(where.per_scale));
    return _mm512_min_epi32(_mm512_cvttps_epi32(index), _mm512_set1_epi32(where.last));
  }
  static Floats block_scales(const std::byte* from, DType dtype, Ints index) {
    const __m512 scales = dtype == DType::F32 ? load<DType::F32>(from) : load<DType::F16>(from);
    return _mm512_permutexvar_ps(index, scales);
  }

  static Floats half_scales(const std::byte* from, DType dtype, int /*step*/, int half) {
    const __m512i first =
        _mm512_setr_epi32(0, 8, 16, 24, 2, 10, 18, 26, 4, 12, 20, 28, 6, 14, 22, 30);
    const __m512i index = _mm512_add_epi32(first, _mm512_set1_epi32(half));
    const auto scales = [&](int64_t at) {
      return dtype == DType::F32 ? load<DType::F32>(from + 4 * at)
                                 : load<DType::F16>(from + 2 * at);
    };
    return _mm512_permutex2var_ps(scales(0), index, scales(16));
  }

  // Weights raised to be unsigned: VNNI multiplies unsigned with signed bytes.
  template <DType type>
  static constexpr bool kRaised = true;
  template <DType type>
  struct Planes {
    __m512i plane[Chunk::kPlanes];
  };
  static __m512i load_plane(const void* from) { return _mm512_loadu_si512(from); }
  static void store_plane(__m512i plane, std::byte* to) { _mm512_storeu_si512(to, plane); }

  static Ints byte_table(__m128i bytes) { return _mm512_broadcast_i32x4(bytes); }
  static Ints shuffle(Ints table, Ints plane) { return _mm512_shuffle_epi8(table, plane); }

  // Of four registers whose quarters have 4 bytes for each of 4 planes, the planes.
  struct Four {
    __m512i plane[4];
  };
  static Four turned(__m512i w0, __m512i w1, __m512i w2, __m512i w3) {
    const __m512i low01 = _mm512_unpacklo_epi32(w0, w1), high01 = _mm512_unpackhi_epi32(w0, w1);
    const __m512i low23 = _mm512_unpacklo_epi32(w2, w3), high23 = _mm512_unpackhi_epi32(w2, w3);
    return {{_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
             _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)}};
  }

  // The low nibbles of bytes, raised to be unsigned.
  static __m512i raised_nibbles(__m512i bytes) {
    const __m512i raise = _mm512_set1_epi8(static_cast<char>(0x88));
    const __m512i low = _mm512_set1_epi8(0x0F);
    return _mm512_ternarylogic_epi32(bytes, raise, low, 0x28);  // (bytes ^ raise) & low
  }
  // Planes of int4, taken out of their pairs as they are used: a tile has no registers for all.
  struct Nibbles {
    struct {
      Four pairs;
      __m512i operator[](int i) const {
        const __m512i pair = pairs.plane[i / 2];
        return raised_nibbles(i % 2 == 0 ? pair : _mm512_srli_epi16(pair, 4));
      }
    } plane;
  };
  template <DType type>
  static auto take_apart(const std::byte* from, int /*step*/) {
    const auto load = [from](int64_t i) { return _mm512_loadu_si512(from + 64 * i); };
    if constexpr (type == DType::Int4) {
      return Nibbles{{turned(load(0), load(1), load(2), load(3))}};
    } else {
      Planes<type> planes;
      const __m512i raise = _mm512_set1_epi8(static_cast<char>(0x80));
      __m512i bytes[Chunk::kPlanes];
      DIPTYCH_UNROLL for (int i = 0; i < Chunk::kPlanes; ++i) {
        bytes[i] = _mm512_xor_si512(load(i), raise);
      }
      planes = planes_of(bytes);
      return planes;
    }
  }

  // From a chunk's bytes in the order of their columns.
  static Planes<DType::Int8> planes_of(const __m512i (&bytes)[Chunk::kPlanes]) {
    __m512i first[4], second[4];  // halves of four blocks each
    DIPTYCH_UNROLL for (int i = 0; i < 4; ++i) {
      first[i] = _mm512_shuffle_i64x2(bytes[2 * i], bytes[2 * i + 1], 0x88);
      second[i] = _mm512_shuffle_i64x2(bytes[2 * i], bytes[2 * i + 1], 0xDD);
    }
    const Four low = turned(first[0], first[1], first[2], first[3]);
    const Four high = turned(second[0], second[1], second[2], second[3]);
    Planes<DType::Int8> planes;
    DIPTYCH_UNROLL for (int i = 0; i < 4; ++i) {
      planes.plane[i] = low.plane[i];
      planes.plane[4 + i] = high.plane[i];
    }
    return planes;
  }

  template <DType type>
  struct ShortPlanes {
    __m512i plane[ShortChunk::kPlanes];
  };
  template <DType type>
  static ShortPlanes<type> take_short_apart(const std::byte* from, int /*step*/) {
    const __m512i first = _mm512_loadu_si512(from);
    if constexpr (type == DType::Int4) {
      return {{raised_nibbles(first), raised_nibbles(_mm512_srli_epi16(first, 4))}};
    } else {
      const __m512i raise = _mm512_set1_epi8(static_cast<char>(0x80));
      return short_planes_of(_mm512_xor_si512(first, raise),
                             _mm512_xor_si512(_mm512_loadu_si512(from + 64), raise));
    }
  }
  // From a short chunk's bytes in the order of their columns.
  static ShortPlanes<DType::Int8> short_planes_of(__m512i first, __m512i second) {
    return {{_mm512_shuffle_i64x2(first, second, 0x88), _mm512_shuffle_i64x2(first, second, 0xDD)}};
  }

  // In turns of sums, because each product waits for the one before it in its sum.
  template <DType type, class Weights, int R, int M>
  static void dot(const Weights (&weights)[R], const Chunk* const (&x)[M], int /*step*/,
                  Ints (&sums)[R][M]) {
    if constexpr (R * M == 1) {
      Ints even = _mm512_setzero_si512(), odd = even;
      DIPTYCH_UNROLL for (int i = 0; i < Chunk::kPlanes; i += 2) {
        even = _mm512_dpbusd_epi32(even, weights[0].plane[i], load_plane(x[0]->planes[i]));
        odd = _mm512_dpbusd_epi32(odd, weights[0].plane[i + 1], load_plane(x[0]->planes[i + 1]));
      }
      sums[0][0] = _mm512_add_epi32(even, odd);
      return;
    }
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      DIPTYCH_UNROLL for (int m = 0; m < M; ++m) sums[r][m] = _mm512_setzero_si512();
    }
    DIPTYCH_UNROLL for (int i = 0; i < Chunk::kPlanes; ++i) {
      __m512i weight[R];
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) weight[r] = weights[r].plane[i];
      DIPTYCH_UNROLL for (int m = 0; m < M; ++m) {
        const __m512i plane = kept_in_register(load_plane(x[m]->planes[i]));
        DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
          sums[r][m] = _mm512_dpbusd_epi32(sums[r][m], weight[r], plane);
        }
      }
    }
  }

  template <DType type, class Weights>
  static Ints dot_half(const Weights& weights, const Chunk& x, int /*step*/, int half) {
    constexpr int kHalf = Chunk::kPlanes / 2;
    const __m512i raise = _mm512_set1_epi8(static_cast<char>(type == DType::Int4 ? 8 : 128));
    Ints sum = _mm512_setzero_si512(), raised = sum;
    DIPTYCH_UNROLL for (int i = 0; i < kHalf; ++i) {
      const __m512i plane = load_plane(x.planes[half * kHalf + i]);
      sum = _mm512_dpbusd_epi32(sum, weights.plane[half * kHalf + i], plane);
      raised = _mm512_dpbusd_epi32(raised, raise, plane);
    }
    return _mm512_sub_epi32(sum, raised);
  }

  template <DType type, int R, int M>
  static void dot_short(const ShortPlanes<type> (&weights)[R], const Chunk* const (&x)[M],
                        int /*step*/, Ints (&sums)[R][M]) {
    DIPTYCH_UNROLL for (int m = 0; m < M; ++m) {
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        __m512i sum = _mm512_setzero_si512();
        DIPTYCH_UNROLL for (int i = 0; i < ShortChunk::kPlanes; ++i) {
          sum = _mm512_dpbusd_epi32(sum, weights[r].plane[i], load_plane(x[m]->planes[i]));
        }
        sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_BADC));
        sums[r][m] = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_CDAB));
      }
    }
  }

  template <DType type>
  static Ints dot_short_half(const ShortPlanes<type>& weights, const Chunk& x, int /*step*/,
                             int half) {
    const __m512i raise = _mm512_set1_epi8(static_cast<char>(type == DType::Int4 ? 8 : 128));
    Ints sum = _mm512_setzero_si512(), raised = sum;
    const auto add_plane = [&](int i) {
      const __m512i plane = load_plane(x.planes[i]);
      sum = _mm512_dpbusd_epi32(sum, weights.plane[i], plane);
      raised = _mm512_dpbusd_epi32(raised, raise, plane);
    };
    add_plane(type == DType::Int4 ? 0 : half);
    if constexpr (type == DType::Int4) add_plane(1);  // each plane has both halves
    sum = _mm512_sub_epi32(sum, raised);
    sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_CDAB));
    const Ints others = _mm512_shuffle_epi32(sum, _MM_PERM_BADC);
    if constexpr (type == DType::Int4) return half == 0 ? sum : others;
    return _mm512_add_epi32(sum, others);
  }

 private:
  // Else GCC makes it an operand in memory of every instruction that uses it; loads are what the
  // loop has too many of.
  static __m512i kept_in_register(__m512i a) {
#if defined(__AVX512F__)  // not where tests emulate it
    asm("" : "+v"(a));
#endif
    return a;
  }
};

}  // namespace
}  // namespace diptych::kernels
