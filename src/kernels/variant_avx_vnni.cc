// AVX2 with the dot products of AVX-VNNI, which are those of AVX-512 VNNI in registers of 32 bytes.
#if defined(__x86_64__)

#include "kernels/avx2.h"

namespace diptych::kernels {
namespace {

// Vectors of 8 lanes, one for each block of half a chunk.
struct AvxVnni : Avx2 {
  using Chunk = Chunk512;
  static constexpr int64_t kPartColumns = 4096;

  static constexpr int kScaleBytes = 64;
  // Which of a chunk's scales the lanes of a step need.
  static Ints scale_index(const ChunkScales& where, int step) {
    return Avx2::scale_index(where, _mm256_setr_ps(0, 4, 8, 12, 1, 5, 9, 13), step);
  }
  static Floats block_scales(const std::byte* from, DType dtype, Ints index) {
    const int64_t eight = dtype == DType::F32 ? 32 : 16;  // bytes
    const auto scales = [&](int64_t first) {
      return dtype == DType::F32 ? load<DType::F32>(from + first) : load<DType::F16>(from + first);
    };
    const __m256 second_half = _mm256_castsi256_ps(_mm256_cmpgt_epi32(index, _mm256_set1_epi32(7)));
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(scales(0), index),
                            _mm256_permutevar8x32_ps(scales(eight), index), second_half);
  }

  static Floats half_scales(const std::byte* from, DType dtype, int step, int half) {
    // Of blocks 2 step and 2 step + 1, and of those 4, 8 and 12 further on.
    const auto two_pairs = [&](int64_t first) {
      if (dtype == DType::F32) {
        const std::byte* const at = from + 4 * (4 * step + first);
        return _mm256_castsi256_ps(_mm256_set_m128i(load_half(at + 32), load_half(at)));
      }
      const std::byte* const at = from + 2 * (4 * step + first);
      const auto four = [&](int64_t offset) {
        return _mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(at + offset));
      };
      return _mm256_cvtph_ps(_mm_unpacklo_epi64(four(0), four(16)));
    };
    const __m256i index =
        _mm256_add_epi32(_mm256_setr_epi32(0, 4, 0, 4, 2, 6, 2, 6), _mm256_set1_epi32(half));
    return _mm256_blend_ps(_mm256_permutevar8x32_ps(two_pairs(0), index),
                           _mm256_permutevar8x32_ps(two_pairs(16), index), 0xCC);
  }

  // Weights raised to be unsigned: VNNI multiplies unsigned with signed bytes.
  template <DType type>
  static constexpr bool kRaised = true;
  template <DType type>
  struct Planes {
    __m256i plane[Chunk::kPlanes];
  };

  // Of four registers whose halves have 4 bytes for each of 4 planes, the planes.
  static void turn(const __m256i (&w)[4], __m256i* planes) {
    const __m256i low01 = _mm256_unpacklo_epi32(w[0], w[1]);
    const __m256i high01 = _mm256_unpackhi_epi32(w[0], w[1]);
    const __m256i low23 = _mm256_unpacklo_epi32(w[2], w[3]);
    const __m256i high23 = _mm256_unpackhi_epi32(w[2], w[3]);
    planes[0] = _mm256_unpacklo_epi64(low01, low23);
    planes[1] = _mm256_unpackhi_epi64(low01, low23);
    planes[2] = _mm256_unpacklo_epi64(high01, high23);
    planes[3] = _mm256_unpackhi_epi64(high01, high23);
  }

  // Blocks 2 step, 2 step + 4, + 8 and + 12 of the chunk, and those after each of them.
  template <DType type>
  static Planes<type> take_apart(const std::byte* from, int64_t step) {
    Planes<type> planes;
    if constexpr (type == DType::Int4) {
      const __m256i raise = _mm256_set1_epi8(static_cast<char>(0x88));
      const __m256i low = _mm256_set1_epi8(0x0F);
      __m256i pairs[4], bytes[4];
      DIPTYCH_UNROLL for (int64_t i = 0; i < 4; ++i) {
        pairs[i] = _mm256_xor_si256(load_bytes(from + 64 * i + 32 * step), raise);
      }
      turn(pairs, bytes);
      DIPTYCH_UNROLL for (int i = 0; i < 4; ++i) {
        planes.plane[2 * i] = _mm256_and_si256(bytes[i], low);
        planes.plane[2 * i + 1] = _mm256_and_si256(_mm256_srli_epi16(bytes[i], 4), low);
      }
    } else {
      const __m256i raise = _mm256_set1_epi8(static_cast<char>(0x80));
      __m256i first[4], second[4];  // halves of blocks
      DIPTYCH_UNROLL for (int64_t i = 0; i < 4; ++i) {
        const std::byte* const two = from + 128 * i + 64 * step;
        const __m256i a = _mm256_xor_si256(load_bytes(two), raise);
        const __m256i b = _mm256_xor_si256(load_bytes(two + 32), raise);
        first[i] = _mm256_permute2x128_si256(a, b, 0x20);
        second[i] = _mm256_permute2x128_si256(a, b, 0x31);
      }
      turn(first, planes.plane);
      turn(second, planes.plane + 4);
    }
    return planes;
  }

  template <DType type, int R>
  static void dot(const Planes<type> (&weights)[R], const Chunk* const (&x)[1], int64_t step,
                  Ints (&sums)[R][1]) {
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) sums[r][0] = _mm256_setzero_si256();
    DIPTYCH_UNROLL for (int i = 0; i < Chunk::kPlanes; ++i) {
      const __m256i plane = load_bytes(x[0]->planes[i] + 32 * step);
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        sums[r][0] = _mm256_dpbusd_avx_epi32(sums[r][0], weights[r].plane[i], plane);
      }
    }
  }

  template <DType type>
  static Ints dot_half(const Planes<type>& weights, const Chunk& x, int64_t step, int half) {
    constexpr int kHalf = Chunk::kPlanes / 2;
    const __m256i raise = _mm256_set1_epi8(static_cast<char>(type == DType::Int4 ? 8 : 128));
    __m256i sum = _mm256_setzero_si256(), raised = sum;
    DIPTYCH_UNROLL for (int i = 0; i < kHalf; ++i) {
      const __m256i plane = load_bytes(x.planes[half * kHalf + i] + 32 * step);
      sum = _mm256_dpbusd_avx_epi32(sum, weights.plane[half * kHalf + i], plane);
      raised = _mm256_dpbusd_avx_epi32(raised, raise, plane);
    }
    return _mm256_sub_epi32(sum, raised);
  }
};

}  // namespace

const Variant kAvxVnniVariant = vector_variant<AvxVnni>();
const PaletteKernels kAvxVnniPalettes = vector_palettes<AvxVnni>();
const IsaKernels kAvxVnniKernels = {&kAvxVnniVariant, &kAvxVnniPalettes, nullptr,
                                    &kAvxVnniDotLoops};

}  // namespace diptych::kernels

#endif
