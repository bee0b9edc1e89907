// Palettes by VBMI, whose shuffles take tables of 64 and, two at a time, of 128 bytes.
#if defined(__x86_64__)

#include "kernels/avx512.h"

namespace diptych::kernels {
namespace {

struct Avx512Vbmi : Avx512 {
  // Raised to be unsigned.
  template <int bits>
  requires(bits == 6 || bits == 8) struct Table {
    static constexpr int kParts = (1 << bits) / 64;
    __m512i part[kParts];

    static Table of(const int8_t* codes) {
      Table table;
      DIPTYCH_UNROLL for (int i = 0; i < kParts; ++i) {
        table.part[i] = _mm512_xor_si512(_mm512_loadu_si512(codes + 64 * i),
                                         _mm512_set1_epi8(static_cast<char>(0x80)));
      }
      return table;
    }

    // Of an index the lowest bits count that the shuffle needs.
    __m512i operator[](__m512i index) const {
      if constexpr (bits == 6) {
        return _mm512_permutexvar_epi8(index, part[0]);
      } else {
        const __m512i low = _mm512_permutex2var_epi8(part[0], index, part[1]);
        const __m512i high = _mm512_permutex2var_epi8(part[2], index, part[3]);
        return _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high);
      }
    }
  };

  // Six bytes in eight, eight times.
  static constexpr int8_t kSixes[64] = {0,  1,  2,  3,  4,  5,  0, 0, 6,  7,  8,  9,  10, 11, 0, 0,
                                        12, 13, 14, 15, 16, 17, 0, 0, 18, 19, 20, 21, 22, 23, 0, 0,
                                        24, 25, 26, 27, 28, 29, 0, 0, 30, 31, 32, 33, 34, 35, 0, 0,
                                        36, 37, 38, 39, 40, 41, 0, 0, 42, 43, 44, 45, 46, 47, 0, 0};

  // 64 indices of 6 bits, a byte each, whose two highest bits are anything. Eight lie in six bytes.
  static __m512i six_bits(const std::byte* from) {
    const __m512i sixes = _mm512_loadu_si512(kSixes);
    const __m512i first_bits = _mm512_set1_epi64(0x2A24'1E18'120C'0600);  // 0, 6, 12 … 42
    return _mm512_multishift_epi64_epi8(first_bits,
                                        _mm512_permutexvar_epi8(sixes, _mm512_loadu_si512(from)));
  }

  // Indices [64 i, 64 i + 64) of a chunk.
  template <int bits>
  static __m512i indices(const std::byte* chunk, int64_t i) {
    if constexpr (bits == 6) {
      return six_bits(chunk + 48 * i);
    } else {
      return _mm512_loadu_si512(chunk + 64 * i);
    }
  }
  template <int bits>
  static Planes<DType::Int8> look_up(const std::byte* chunk, const Table<bits>& table) {
    __m512i all[Chunk::kPlanes];
    DIPTYCH_UNROLL for (int i = 0; i < Chunk::kPlanes; ++i) all[i] = indices<bits>(chunk, i);
    Planes<DType::Int8> planes = planes_of(all);
    for (__m512i& plane : planes.plane) plane = table[plane];
    return planes;
  }
  template <int bits>
  static ShortPlanes<DType::Int8> look_short_up(const std::byte* chunk, const Table<bits>& table) {
    ShortPlanes<DType::Int8> planes =
        short_planes_of(indices<bits>(chunk, 0), indices<bits>(chunk, 1));
    for (__m512i& plane : planes.plane) plane = table[plane];
    return planes;
  }
};

}  // namespace

const PaletteKernels kAvx512Bf16Palettes = vector_palettes<Avx512Vbmi>();

}  // namespace diptych::kernels

#endif
