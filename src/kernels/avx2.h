// Vectors of 8 lanes, one for each block of half a chunk. Included by files that are compiled for
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
  using Chunk = Chunk512;
  static constexpr int kLanes = 8, kSteps = 2;
  static constexpr int kMaxTile = 4, kMaxFloatTile = 4;
  // Eight sums of one row of the weight take each load of x as an operand; eight of int8, whose
  // products take two more registers, do not fit.
  template <DType type>
  static constexpr int kMaxStreamed = type == DType::Int4 ? 8 : kMaxTile;
  static constexpr int64_t kPartColumns = 2048;
  // Rows of one or two chunks leave more of a register empty when they are not turned.
  static constexpr int64_t rows_for_panels(int64_t chunks) { return chunks <= 2 ? 5 : 9; }
  template <int M>
  static constexpr int kRows = M == 1 || M > kMaxTile ? 1 : 2;
  template <int M>
  static constexpr int kTogether = M;
  static constexpr bool kLanesAreRows = true;
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

  // y[i * stride + r] is the sum of the lanes of a[r][i] times scale[r], for the first `rows` of R.
  // All sums have one order: that of halves, then of the halves of these, and last of both halves
  // of the register.
  template <int R, int M>
  static void store_sums(const Floats (&a)[R][M], const float (&scale)[R], int rows, float* y,
                         int64_t stride) {
    static_assert(R <= 2);
    if constexpr (R * M == 1) {
      const Floats twos = add(a[0][0], _mm256_permute_ps(a[0][0], 0x4E));
      const Floats fours = add(twos, _mm256_permute_ps(twos, 0xB1));
      y[0] = scale[0] * _mm_cvtss_f32(_mm_add_ss(_mm256_castps256_ps128(fours),
                                                 _mm256_extractf128_ps(fours, 1)));
      return;
    }
    constexpr int kGroup = 8 / R;  // rows of x whose sums fill a register
    DIPTYCH_UNROLL for (int i = 0; i < M; i += kGroup) {
      Floats eight[8];
      DIPTYCH_UNROLL for (int j = 0; j < 8; ++j) {
        eight[j] = i + j / R < M ? a[j % R][i + j / R] : zero();
      }
      const Floats scales =
          R == 1 ? all(scale[0])
                 : _mm256_castpd_ps(_mm256_broadcast_sd(reinterpret_cast<const double*>(scale)));
      float sums[8];
      store_f32(multiply(sum_eight(eight), scales), sums);
      for (int m = 0; m < kGroup && i + m < M; ++m) {
        float* const to = y + (i + m) * stride;
        if (rows == R) {
          __builtin_memcpy(to, sums + m * R, R * sizeof(float));
        } else {
          to[0] = sums[m * R];
        }
      }
    }
  }
  // Lane i is the sum of the lanes of a[i].
  static Floats sum_eight(const Floats (&a)[8]) {
    const auto twos = [&](int i) {
      return _mm256_castps_pd(
          add(_mm256_unpacklo_ps(a[i], a[i + 1]), _mm256_unpackhi_ps(a[i], a[i + 1])));
    };
    const auto fours = [&](int i) {
      const __m256d first = twos(i), second = twos(i + 2);
      return add(_mm256_castpd_ps(_mm256_unpacklo_pd(first, second)),
                 _mm256_castpd_ps(_mm256_unpackhi_pd(first, second)));
    };
    const Floats low = fours(0), high = fours(4);
    return add(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
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

  static constexpr int kScaleBytes = 64;
  // Of 16 floats; of 16 halves, as the bytes that come from the first and the last eight.
  struct ScaleIndex {
    __m256i floats;
    __m128i low_halves, high_halves;
  };
  static ScaleIndex scale_index(const ChunkScales& where, int step) {
    const __m256 blocks = _mm256_setr_ps(0, 4, 8, 12, 1, 5, 9, 13);  // of the first step
    const __m256 before = _mm256_set1_ps(where.phase + static_cast<float>(2 * step));
    const __m256 quotients =
        _mm256_mul_ps(_mm256_add_ps(blocks, before), _mm256_set1_ps(where.per_scale));
    const __m256i index =
        _mm256_min_epi32(_mm256_cvttps_epi32(quotients), _mm256_set1_epi32(where.last));
    const __m128i in_16_bits =
        _mm_packs_epi32(_mm256_castsi256_si128(index), _mm256_extracti128_si256(index, 1));
    const __m128i bytes =
        _mm_add_epi16(_mm_mullo_epi16(in_16_bits, _mm_set1_epi16(0x0202)), _mm_set1_epi16(0x0100));
    // A shuffle gives 0 where the highest bit is set.
    const __m128i nowhere = _mm_set1_epi8(static_cast<char>(0x80));
    const __m128i is_high = _mm_cmpgt_epi16(in_16_bits, _mm_set1_epi16(7));
    return {index, _mm_or_si128(bytes, _mm_and_si128(is_high, nowhere)),
            _mm_or_si128(_mm_and_si128(bytes, _mm_set1_epi8(0x0F)),
                         _mm_andnot_si128(is_high, nowhere))};
  }
  static Floats block_scales(const std::byte* from, DType dtype, const ScaleIndex& index) {
    if (dtype == DType::F16) {
      const __m128i low = _mm_shuffle_epi8(load_half(from), index.low_halves);
      const __m128i high = _mm_shuffle_epi8(load_half(from + 16), index.high_halves);
      return _mm256_cvtph_ps(_mm_or_si128(low, high));
    }
    const __m256 in_low = _mm256_permutevar8x32_ps(load<DType::F32>(from), index.floats);
    const __m256 in_high = _mm256_permutevar8x32_ps(load<DType::F32>(from + 32), index.floats);
    const __m256i is_high = _mm256_cmpgt_epi32(index.floats, _mm256_set1_epi32(7));
    return _mm256_blendv_ps(in_low, in_high, _mm256_castsi256_ps(is_high));
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

  // int4: raised to be unsigned. int8: as they are.
  template <DType type>
  static constexpr bool kRaised = type == DType::Int4;
  template <DType type>
  struct Planes {
    __m256i plane[Chunk::kPlanes];
  };
  static __m256i load_plane(const void* from) { return load_bytes(from); }
  static void store_plane(__m256i plane, std::byte* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(to), plane);
  }

  static Ints byte_table(__m128i bytes) { return _mm256_broadcastsi128_si256(bytes); }
  static Ints shuffle(Ints table, Ints plane) { return _mm256_shuffle_epi8(table, plane); }

  // Of four registers whose halves have 4 bytes for each of 4 planes, the planes.
  static void turn_halves(const __m256i (&w)[4], __m256i* planes) {
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
      __m256i pairs[4], bytes[4];
      DIPTYCH_UNROLL for (int64_t i = 0; i < 4; ++i) {
        pairs[i] = load_bytes(from + 64 * i + 32 * step);
      }
      turn_halves(pairs, bytes);
      DIPTYCH_UNROLL for (int i = 0; i < 4; ++i) {
        const Nibbles two = nibbles(bytes[i]);
        planes.plane[2 * i] = two.low;
        planes.plane[2 * i + 1] = two.high;
      }
    } else {
      __m256i first[4], second[4];  // halves of blocks
      DIPTYCH_UNROLL for (int64_t i = 0; i < 4; ++i) {
        const std::byte* const two = from + 128 * i + 64 * step;
        const __m256i a = load_bytes(two), b = load_bytes(two + 32);
        first[i] = _mm256_permute2x128_si256(a, b, 0x20);
        second[i] = _mm256_permute2x128_si256(a, b, 0x31);
      }
      turn_halves(first, planes.plane);
      turn_halves(second, planes.plane + 4);
    }
    return planes;
  }

  template <DType type>
  struct ShortPlanes {
    __m256i plane[ShortChunk::kPlanes];
  };
  // Blocks 2 step and 2 step + 1.
  template <DType type>
  static ShortPlanes<type> take_short_apart(const std::byte* from, int64_t step) {
    if constexpr (type == DType::Int4) {
      const Nibbles planes = nibbles(load_bytes(from + 32 * step));
      return {{planes.low, planes.high}};
    } else {
      const __m256i a = load_bytes(from + 64 * step), b = load_bytes(from + 64 * step + 32);
      return {{_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31)}};
    }
  }

  // Of pairs of int4, raised to be unsigned.
  struct Nibbles {
    Ints low, high;
  };
  static Nibbles nibbles(Ints pairs) {
    const Ints raised = _mm256_xor_si256(pairs, _mm256_set1_epi8(static_cast<char>(0x88)));
    const Ints low = _mm256_set1_epi8(0x0F);
    return {_mm256_and_si256(raised, low), _mm256_and_si256(_mm256_srli_epi16(raised, 4), low)};
  }

  static Ints as_ints(Floats a) { return _mm256_castps_si256(a); }

  // Lane i of register j becomes lane j of register i.
  static void turn(Ints (&a)[kLanes]) {
    Ints fours[kLanes];  // [4 h + k]: half-registers' lanes k of rows 4 h to 4 h + 3
    DIPTYCH_UNROLL for (int h = 0; h < kLanes; h += 4) {
      const Ints rows[] = {a[h], a[h + 1], a[h + 2], a[h + 3]};
      turn_halves(rows, fours + h);
    }
    DIPTYCH_UNROLL for (int k = 0; k < 4; ++k) {
      a[k] = _mm256_permute2x128_si256(fours[k], fours[4 + k], 0x20);
      a[4 + k] = _mm256_permute2x128_si256(fours[k], fours[4 + k], 0x31);
    }
  }

  // The sum of kLanes registers that of_lane(i) gives, in the order of store_sums().
  template <class OfLane>
  static Floats sum_of_registers(const OfLane& of_lane) {
    const auto half = [&](int i) {
      return add(add(of_lane(i), of_lane(i + 2)), add(of_lane(i + 1), of_lane(i + 3)));
    };
    return add(half(0), half(4));
  }

  // Pairs of products are summed in 16 bits. For int4 those of all planes fit: 8 * 2 * 15 * 127 is
  // 30480. For int8 one pair just fits, when it is the activations that are signed: 2 * 128 * 127
  // is 32512.
  template <DType type, class Weights, int R, int M>
  static void dot(const Weights (&weights)[R], const Chunk* const (&x)[M], int64_t step,
                  Ints (&sums)[R][M]) {
    dot_planes<type, Chunk::kPlanes>(weights, x, step, sums);
  }

  template <DType type, int R, int M>
  static void dot_short(const ShortPlanes<type> (&weights)[R], const Chunk* const (&x)[M],
                        int64_t step, Ints (&sums)[R][M]) {
    dot_planes<type, ShortChunk::kPlanes>(weights, x, step, sums);
    add_four_lanes(sums);
  }

  // Of R registers of rows (integer_strips.h). What int4 was raised by is taken off from some
  // planes.
  template <DType type, DType x_type, bool kShort, int kFirst, int kCount, int R, int M>
  static void dot_rows(const std::byte* planes, const int8_t* const (&x)[M], Ints (&sums)[R][M]) {
    DIPTYCH_UNROLL for (int p = kFirst; p < kFirst + kCount; ++p) {
      __m256i w[R];
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        w[r] = load_bytes(planes + (p * R + r) * static_cast<int64_t>(sizeof(__m256i)));
      }
      DIPTYCH_UNROLL for (int m = 0; m < M; ++m) {
        int32_t four;
        __builtin_memcpy(&four, x[m] + place_in_x<x_type, kShort>(p), sizeof four);
        const __m256i values = added_now(_mm256_set1_epi32(four));
        DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
          sums[r][m] = with_products<type>(sums[r][m], w[r], values, p == kFirst);
          if constexpr (type == DType::Int4 && kCount < Chunk::kPlanes) {
            const __m256i raised = _mm256_maddubs_epi16(_mm256_set1_epi8(8), values);
            sums[r][m] = _mm256_sub_epi16(sums[r][m], raised);
          }
          if constexpr (type == DType::Int4) sums[r][m] = added_now(sums[r][m]);
        }
      }
    }
    finish_sums<type>(sums);
  }

  // Of whole chunks. Those of int4 that were raised by 8 lose that again.
  template <DType type, class Weights>
  static Ints dot_half(const Weights& weights, const Chunk& x, int64_t step, int half) {
    constexpr int kHalf = Chunk::kPlanes / 2;
    return dot_as_they_are<type, kHalf>(weights, x, step, half * kHalf);
  }
  // The same of short chunks, in the lane that a block has.
  template <DType type>
  static Ints dot_short_half(const ShortPlanes<type>& weights, const Chunk& x, int64_t step,
                             int half) {
    if constexpr (type == DType::Int4) {  // each plane has both halves
      return add_lanes_of_half<type>(dot_as_they_are<type, 2>(weights, x, step, 0), half);
    } else {
      return add_lanes_of_half<type>(dot_as_they_are<type, 1>(weights, x, step, half), half);
    }
  }
  // Of a short chunk's sums, those of a half of each block, added.
  template <DType type>
  static Ints add_lanes_of_half(Ints sums, int half) {
    sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32(sums, 0xB1));
    const Ints others = _mm256_shuffle_epi32(sums, 0x4E);
    if constexpr (type == DType::Int4) return half == 0 ? sums : others;
    return _mm256_add_epi32(sums, others);
  }

  // Each four lanes become what they sum up to.
  template <int R, int M>
  static void add_four_lanes(Ints (&sums)[R][M]) {
    DIPTYCH_UNROLL for (auto& of_row : sums) {
      DIPTYCH_UNROLL for (Ints& sum : of_row) {
        sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0x4E));
        sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0xB1));
      }
    }
  }

 private:
  template <DType type, int kCount, class Weights>
  static Ints dot_as_they_are(const Weights& weights, const Chunk& x, int64_t step, int first) {
    const __m256i ones = _mm256_set1_epi16(1);
    Ints sum = _mm256_setzero_si256();
    DIPTYCH_UNROLL for (int i = 0; i < kCount; ++i) {
      const __m256i w = weights.plane[first + i];
      const __m256i values = load_bytes(x.planes[first + i] + 32 * step);
      if constexpr (type == DType::Int4) {
        const __m256i raised = _mm256_maddubs_epi16(_mm256_set1_epi8(8), values);
        sum = _mm256_add_epi16(sum, _mm256_sub_epi16(_mm256_maddubs_epi16(w, values), raised));
      } else {
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(values, w));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
      }
    }
    if constexpr (type == DType::Int4) sum = _mm256_madd_epi16(sum, ones);
    return sum;
  }

  // Else GCC makes a tree of a sum, and keeps all that is to be added in memory.
  static __m256i added_now(__m256i sum) {
    asm("" : "+x"(sum));
    return sum;
  }

  template <DType type, int kPlanes, class Weights, int R, int M>
  static void dot_planes(const Weights (&weights)[R], const Chunk* const (&x)[M], int64_t step,
                         Ints (&sums)[R][M]) {
    DIPTYCH_UNROLL for (int i = 0; i < kPlanes; ++i) {
      __m256i w[R];
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) w[r] = weights[r].plane[i];
      DIPTYCH_UNROLL for (int m = 0; m < M; ++m) {
        __m256i plane = load_bytes(x[m]->planes[i] + 32 * step);
        if constexpr (R > 1) plane = added_now(plane);
        DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
          sums[r][m] = with_products<type>(sums[r][m], w[r], plane, i == 0);
          if constexpr (type == DType::Int4 && R * M > 1) sums[r][m] = added_now(sums[r][m]);
        }
      }
    }
    finish_sums<type>(sums);
  }

  // A sum and the products of a plane, in 16 bits for int4.
  template <DType type>
  static Ints with_products(Ints sum, __m256i weights, __m256i x, bool is_first) {
    if constexpr (type == DType::Int4) {
      const __m256i products = _mm256_maddubs_epi16(weights, x);
      return is_first ? products : _mm256_add_epi16(sum, products);
    } else {
      const __m256i signed_x = _mm256_sign_epi8(x, weights);
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), signed_x);
      const __m256i products = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
      return is_first ? products : _mm256_add_epi32(sum, products);
    }
  }
  // To 32 bits.
  template <DType type, int R, int M>
  static void finish_sums(Ints (&sums)[R][M]) {
    if constexpr (type == DType::Int4) {
      DIPTYCH_UNROLL for (auto& of_row : sums) {
        DIPTYCH_UNROLL for (Ints& sum : of_row) {
          sum = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
        }
      }
    }
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
  return {LooksUpPlanes<V, 8> ? 8 : 4, linear_palette<V>, linear_palette_dequantized<V>};
}

}  // namespace
}  // namespace diptych::kernels
