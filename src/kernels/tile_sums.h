// The sums of 16 rows of a weight with 16 rows of x, as matrix instructions (AMX) make them.
// Included by files that are compiled for AVX-512 and AMX; hence the unnamed namespace.
#pragma once

#include "kernels/avx512.h"

namespace diptych::kernels {
namespace {

// Row r of the weight, all rows of x in the lanes.
struct TileSums {
  __m512 of_row[16];
};

// Of four registers, quarters 0 of all, quarters 1 and so on.
Avx512::Four quarters_turned(const __m512i (&w)[4]) {
  const __m512i low01 = _mm512_shuffle_i64x2(w[0], w[1], 0x44);
  const __m512i low23 = _mm512_shuffle_i64x2(w[2], w[3], 0x44);
  const __m512i high01 = _mm512_shuffle_i64x2(w[0], w[1], 0xEE);
  const __m512i high23 = _mm512_shuffle_i64x2(w[2], w[3], 0xEE);
  return {{_mm512_shuffle_i64x2(low01, low23, 0x88), _mm512_shuffle_i64x2(low01, low23, 0xDD),
           _mm512_shuffle_i64x2(high01, high23, 0x88), _mm512_shuffle_i64x2(high01, high23, 0xDD)}};
}

// Turns rows of the weight with rows of x in their lanes into the opposite.
TileSums turned(const TileSums& sums) {
  __m512i
      rows_by_four[4][4];  // [i][j]: rows 4j to 4j + 3 of the weight; quarter q has row 4q + i of x
  for (int j = 0; j < 4; ++j) {
    const auto row = [&](int i) { return _mm512_castps_si512(sums.of_row[4 * j + i]); };
    const Avx512::Four four = Avx512::turned(row(0), row(1), row(2), row(3));
    for (int i = 0; i < 4; ++i) rows_by_four[i][j] = four.plane[i];
  }
  TileSums result;
  for (int i = 0; i < 4; ++i) {
    const Avx512::Four quarters = quarters_turned(rows_by_four[i]);
    for (int q = 0; q < 4; ++q) {
      result.of_row[4 * q + i] = _mm512_castsi512_ps(quarters.plane[q]);
    }
  }
  return result;
}

// Writes those of `rows` rows of the weight with `m_rows` rows of x, row m of these to y + m *
// stride.
void store_turned(const TileSums& sums, int rows, int m_rows, float* y, int64_t stride) {
  const TileSums by_x = turned(sums);
  const auto mask = static_cast<__mmask16>((1u << rows) - 1);
  for (int m = 0; m < m_rows; ++m) _mm512_mask_storeu_ps(y + m * stride, mask, by_x.of_row[m]);
}

}  // namespace
}  // namespace diptych::kernels
