// Plain C++ stand-ins for the AVX-512 intrinsics that src/kernels/variant_avx512.cc uses, so that
// its logic is tested on machines without AVX-512 as well. Included on the compiler's command line;
// each does what Intel's Intrinsics Guide says of its namesake.
#pragma once

// NOLINTBEGIN: the names are those of the intrinsics, which are reserved; offsets are small.

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace diptych::kernels {
namespace {

struct Vector512 {
  alignas(64) unsigned char bytes[64];
};

template <class T>
struct Lanes {
  static constexpr int kCount = 64 / sizeof(T);
  T lane[kCount];

  Lanes() = default;
  Lanes(const Vector512& v) { std::memcpy(lane, v.bytes, 64); }  // NOLINT: converts on purpose
  operator Vector512() const {                                   // NOLINT
    Vector512 v;
    std::memcpy(v.bytes, lane, 64);
    return v;
  }
};
using Floats512 = Lanes<float>;
using Ints512 = Lanes<int32_t>;

// Applies f to each lane of the operands, seen as lanes of T.
template <class T, class F, class... Operands>
Vector512 each(F f, const Operands&... operands) {
  Lanes<T> result;
  for (int i = 0; i < Lanes<T>::kCount; ++i) result.lane[i] = f(Lanes<T>(operands).lane[i]...);
  return result;
}
template <class T>
Vector512 every_lane(T value) {
  return each<T>([=](T) { return value; }, Vector512());
}

template <class T>
Vector512 load_512(const T* from) {
  Vector512 v;
  std::memcpy(v.bytes, from, 64);
  return v;
}
inline void store_512(void* to, const Vector512& v) { std::memcpy(to, v.bytes, 64); }

inline Vector512 add_lanes(const Vector512& a, const Vector512& b) {
  return each<float>([](float x, float y) { return x + y; }, a, b);
}
inline Vector512 add_ints(const Vector512& a, const Vector512& b) {
  return each<int32_t>([](int32_t x, int32_t y) { return x + y; }, a, b);
}
inline Vector512 multiply_lanes(const Vector512& a, const Vector512& b) {
  return each<float>([](float x, float y) { return x * y; }, a, b);
}
inline Vector512 fmadd(const Vector512& a, const Vector512& b, const Vector512& c) {
  return each<float>([](float x, float y, float z) { return std::fma(x, y, z); }, a, b, c);
}
inline Vector512 to_floats(const Vector512& a) {
  Floats512 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<float>(Ints512(a).lane[i]);
  return r;
}
inline Vector512 truncate(const Vector512& a) {
  Ints512 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = static_cast<int32_t>(Floats512(a).lane[i]);
  return r;
}
inline Vector512 widen_u16(__m256i a) {
  uint16_t halves[16];
  std::memcpy(halves, &a, 32);
  Ints512 r;
  std::copy(halves, halves + 16, r.lane);
  return r;
}
inline Vector512 widen_i8(__m128i a) {
  int8_t bytes[16];
  std::memcpy(bytes, &a, 16);
  Ints512 r;
  std::copy(bytes, bytes + 16, r.lane);
  return r;
}
inline Vector512 in_first_quarter(__m128i a) {
  Vector512 r{};
  std::memcpy(r.bytes, &a, 16);
  return r;
}
inline Vector512 halves_to_floats(__m256i a) {
  Vector512 r;
  const __m256 low = _mm256_cvtph_ps(_mm256_castsi256_si128(a));
  const __m256 high = _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1));
  std::memcpy(r.bytes, &low, 32);
  std::memcpy(r.bytes + 32, &high, 32);
  return r;
}
inline __m256 half_of(const Vector512& a, int64_t which) {
  __m256 r;
  std::memcpy(&r, a.bytes + 32 * which, 32);
  return r;
}
inline __m256i int_half_of(const Vector512& a, int64_t which) {
  __m256i r;
  std::memcpy(&r, a.bytes + 32 * which, 32);
  return r;
}
inline void store_masked(float* to, uint16_t mask, const Vector512& v) {
  for (int i = 0; i < 16; ++i) {
    if (mask >> i & 1) to[i] = Floats512(v).lane[i];
  }
}
inline Vector512 permute_two(const Vector512& a, const Vector512& index, const Vector512& b) {
  Lanes<uint64_t> r;
  for (int i = 0; i < 8; ++i) {
    const uint64_t at = Lanes<uint64_t>(index).lane[i] & 15;
    r.lane[i] = Lanes<uint64_t>(at < 8 ? a : b).lane[at & 7];
  }
  return r;
}
inline Vector512 subtract_ints(const Vector512& a, const Vector512& b) {
  return each<uint32_t>([](uint32_t x, uint32_t y) { return x - y; }, a, b);
}
inline Vector512 subtract_bytes(const Vector512& a, const Vector512& b) {
  return each<uint8_t>([](uint8_t x, uint8_t y) { return static_cast<uint8_t>(x - y); }, a, b);
}
inline Vector512 permute_two_of_floats(const Vector512& a, const Vector512& index,
                                       const Vector512& b) {
  Floats512 r;
  for (int i = 0; i < 16; ++i) {
    const int32_t at = Ints512(index).lane[i] & 31;
    r.lane[i] = Floats512(at < 16 ? a : b).lane[at & 15];
  }
  return r;
}
template <class Lane, class... T>
Vector512 in_order(T... values) {
  const Lane list[] = {static_cast<Lane>(values)...};
  return load_512(list);
}
inline Vector512 dot_add(const Vector512& sums, const Vector512& a, const Vector512& b) {
  Ints512 r(sums);
  for (int i = 0; i < 64; ++i) {
    r.lane[i / 4] += a.bytes[i] * static_cast<int8_t>(b.bytes[i]);
  }
  return r;
}
inline Vector512 permute(const Vector512& index, const Vector512& a) {
  Floats512 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = Floats512(a).lane[Ints512(index).lane[i] & 15];
  return r;
}
inline Vector512 shuffle_quarters(const Vector512& a, const Vector512& b, int control) {
  Vector512 r;
  for (int64_t i = 0; i < 4; ++i) {
    const Vector512& from = i < 2 ? a : b;
    std::memcpy(r.bytes + 16 * i, from.bytes + 16 * (int64_t{control} >> 2 * i & 3), 16);
  }
  return r;
}
inline Vector512 permute_quarters(const Vector512& a, int control) {
  Floats512 r;
  for (int i = 0; i < 16; ++i)
    r.lane[i] = Floats512(a).lane[i / 4 * 4 + (control >> i % 4 * 2 & 3)];
  return r;
}
inline __m128 first_quarter(const Vector512& a) {
  __m128 r;
  std::memcpy(&r, a.bytes, 16);
  return r;
}
inline Vector512 four_ints(int d, int c, int b, int a) {
  const int32_t four[] = {a, b, c, d};
  Ints512 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = four[i % 4];
  return r;
}
inline Vector512 ternary(const Vector512& a, const Vector512& b, const Vector512& c, int table) {
  Vector512 r{};
  for (int bit = 0; bit < 512; ++bit) {
    const auto at = [bit](const Vector512& v) { return v.bytes[bit / 8] >> bit % 8 & 1; };
    r.bytes[bit / 8] |=
        static_cast<unsigned char>((table >> (4 * at(a) + 2 * at(b) + at(c)) & 1) << bit % 8);
  }
  return r;
}
// Alternates elements of `size` bytes from half `which` of each quarter of a and b.
inline Vector512 unpack(const Vector512& a, const Vector512& b, int size, int which) {
  Vector512 r;
  for (int i = 0; i < 64; i += 16) {
    for (int at = 0; at < 8; at += size) {
      std::memcpy(r.bytes + i + 2 * at, a.bytes + i + 8 * which + at, static_cast<size_t>(size));
      std::memcpy(r.bytes + i + 2 * at + size, b.bytes + i + 8 * which + at,
                  static_cast<size_t>(size));
    }
  }
  return r;
}
inline Vector512 four_times(__m128i quarter) {
  Vector512 r;
  for (int64_t i = 0; i < 4; ++i) std::memcpy(r.bytes + 16 * i, &quarter, 16);
  return r;
}
inline Vector512 shuffle_bytes(const Vector512& a, const Vector512& index) {
  Vector512 r;
  for (int i = 0; i < 64; ++i) {
    const unsigned char at = index.bytes[i];
    r.bytes[i] = at < 128 ? a.bytes[i / 16 * 16 + at % 16] : 0;
  }
  return r;
}

}  // namespace
}  // namespace diptych::kernels

#define __m512 ::diptych::kernels::Vector512
#define __m512i ::diptych::kernels::Vector512
#define __mmask16 uint16_t
#define _mm512_add_ps add_lanes
#define _mm512_mul_ps multiply_lanes
#define _mm512_sub_ps(a, b) each<float>([](float x, float y) { return x - y; }, a, b)
#define _mm512_fmadd_ps fmadd
#define _mm512_castps512_ps256(a) half_of(a, 0)
#define _mm512_extractf32x8_ps half_of
#define _mm512_castsi512_ps(a) (a)
#define _mm512_castps512_ps128 first_quarter
#define _mm512_permute_ps permute_quarters
#define _mm512_shuffle_f32x4 shuffle_quarters
#undef _mm512_set4_epi32
#define _mm512_set4_epi32 four_ints
#define _mm512_castps_si512(a) (a)
#define _mm512_castsi512_si256(a) int_half_of(a, 0)
#define _mm512_extracti64x4_epi64 int_half_of
#define _mm512_and_si512(a, b) each<uint32_t>([](uint32_t x, uint32_t y) { return x & y; }, a, b)
#define _mm512_mask_storeu_ps store_masked
#define _mm512_permutex2var_epi64 permute_two
#define _mm512_permutex2var_ps permute_two_of_floats
#undef _mm512_setr_epi64
#define _mm512_setr_epi64 in_order<uint64_t>
#define _mm512_cvtepi32_ps to_floats
#define _mm512_cvttps_epi32 truncate
#define _mm512_cvtepu16_epi32 widen_u16
#define _mm512_cvtepi8_epi32 widen_i8
#define _mm512_castsi128_si512 in_first_quarter
#undef _mm512_setr_epi32
#define _mm512_setr_epi32 in_order<int32_t>
#define _mm512_cvtph_ps halves_to_floats
#define _mm512_dpbusd_epi32 dot_add
#define _mm512_loadu_ps load_512
#define _mm512_loadu_si512 load_512
#define _mm512_storeu_ps store_512
#define _mm512_storeu_si512 store_512
#define _mm512_add_epi32 add_ints
#define _mm512_sub_epi32 subtract_ints
#define _mm512_sub_epi8 subtract_bytes
#define _mm512_min_epi32(a, b) \
  each<int32_t>([](int32_t x, int32_t y) { return std::min(x, y); }, a, b)
#define _mm512_permutexvar_ps permute
#define _mm512_permutexvar_epi32 permute
#define _mm512_srlv_epi32(a, b) each<uint32_t>([](uint32_t x, uint32_t y) { return x >> y; }, a, b)
#define _mm512_set1_epi32(value) every_lane<int32_t>(value)
#define _mm512_set1_epi8(value) every_lane<int8_t>(value)
#define _mm512_set1_ps(value) every_lane<float>(value)
#undef _mm512_setr_ps
#define _mm512_setr_ps in_order<float>
#define _mm512_setzero_ps() every_lane<float>(0)
#define _mm512_setzero_si512() every_lane<int32_t>(0)
#define _mm512_shuffle_i64x2 shuffle_quarters
#define _mm512_slli_epi32(a, n) each<uint32_t>([](uint32_t x) { return x << (n); }, a)
#define _mm512_srli_epi16(a, n) \
  each<uint16_t>([](uint16_t x) { return static_cast<uint16_t>(x >> (n)); }, a)
#define _mm512_shuffle_epi32 permute_quarters
#define _mm512_shuffle_epi8 shuffle_bytes
#define _mm512_broadcast_i32x4 four_times
#define _mm512_ternarylogic_epi32 ternary
#define _mm512_unpackhi_epi32(a, b) unpack(a, b, 4, 1)
#define _mm512_unpackhi_epi64(a, b) unpack(a, b, 8, 1)
#define _mm512_unpacklo_epi32(a, b) unpack(a, b, 4, 0)
#define _mm512_unpacklo_epi64(a, b) unpack(a, b, 8, 0)
#define _mm512_xor_si512(a, b) each<uint32_t>([](uint32_t x, uint32_t y) { return x ^ y; }, a, b)
// NOLINTEND
