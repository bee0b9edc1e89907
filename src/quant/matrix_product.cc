#include "quant/matrix_product.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/matrix_product.cc"
#include <hwy/foreach_target.h>
// foreach_target must come first.
#include <hwy/highway.h>

#ifndef DIPTYCH_MATRIX_PRODUCT_ONCE
#define DIPTYCH_MATRIX_PRODUCT_ONCE

namespace diptych::quant {

// A part of C that one thread computes at a time, and how much of the depth it takes at once: the
// part of A that it needs then stays in the second level of cache, and what a tile needs of B in
// the first. Of small matrices the parts are halves of that either way.
constexpr size_t kPartRows = 192, kPartColumns = 512, kPartDepth = 256;
constexpr size_t kPartsPerThread = 4;  // at least, for threads to end together
// Rows of C that are summed in registers at a time.
constexpr size_t kTileRows = 6;
// The columns are those of two vectors.
constexpr size_t kMostTileColumns = 128;

// A part of C, and where the parts of A and B that are at hand are put in order.
struct PartOfProduct {
  MatrixView a, b;  // from the part's first row and first column on
  size_t depth;
  float factor;
  ProductSum c;      // of at most kPartRows and kPartColumns
  float* a_ordered;  // [kPartRows * kPartDepth]
  float* b_ordered;  // [kPartColumns * kPartDepth] and kMostTileColumns * kPartDepth more
  // Of the part's row i, the columns before i + first_wanted may be left out.
  std::ptrdiff_t first_wanted;
};

}  // namespace diptych::quant
#endif  // DIPTYCH_MATRIX_PRODUCT_ONCE

HWY_BEFORE_NAMESPACE();
namespace diptych::quant {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Bands of `width` lines of a matrix, each band element by element of all its lines in turn:
// line l of `lines` begins at from + l * line_stride. What the last band lacks is zeros.
void order(const float* from, size_t lines, size_t line_stride, size_t depth, size_t depth_stride,
           size_t width, float* out) {
  const size_t missing = (lines + width - 1) / width * width - lines, band = width * depth;
  if (missing > 0) std::fill_n(out + lines / width * band, band, 0.0f);
  if (line_stride != 1) {
    for (size_t l = 0; l < lines; ++l) {
      const float* at = from + l * line_stride;
      float* to = out + l / width * band + l % width;
      for (size_t k = 0; k < depth; ++k) to[k * width] = at[k * depth_stride];
    }
    return;
  }
  // Element k of all lines lies together.
  constexpr size_t kAhead = 4, kCacheLine = 64 / sizeof(float);
  for (size_t k = 0; k < depth; ++k) {
    const float* at = from + k * depth_stride;
    float* to = out + k * width;
    if (k + kAhead < depth) {
      const float* const ahead = at + kAhead * depth_stride;
      for (size_t l = 0; l < lines; l += kCacheLine) __builtin_prefetch(ahead + l);
    }
    for (size_t first = 0; first < lines; first += width, at += width, to += band) {
      const size_t count = HWY_MIN(width, lines - first);
      if (count == kTileRows) {
        std::memcpy(to, at, kTileRows * sizeof(float));
      } else {
        for (size_t l = 0; l < count; ++l) to[l] = at[l];
      }
    }
  }
}

// sums[r][0, 2 lanes) = the products of a band of kTileRows rows with one of two vectors of
// columns.
template <class D>
void tile(D d, const float* a, const float* b, size_t depth, float* sums, size_t stride) {
  const size_t lanes = hn::Lanes(d);
  auto s00 = hn::Zero(d), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00;
  auto s30 = s00, s31 = s00, s40 = s00, s41 = s00, s50 = s00, s51 = s00;
  for (size_t k = 0; k < depth; ++k, a += kTileRows, b += 2 * lanes) {
    const auto left = hn::Load(d, b), right = hn::Load(d, b + lanes);
    auto row = hn::Set(d, a[0]);
    s00 = hn::MulAdd(row, left, s00), s01 = hn::MulAdd(row, right, s01);
    row = hn::Set(d, a[1]);
    s10 = hn::MulAdd(row, left, s10), s11 = hn::MulAdd(row, right, s11);
    row = hn::Set(d, a[2]);
    s20 = hn::MulAdd(row, left, s20), s21 = hn::MulAdd(row, right, s21);
    row = hn::Set(d, a[3]);
    s30 = hn::MulAdd(row, left, s30), s31 = hn::MulAdd(row, right, s31);
    row = hn::Set(d, a[4]);
    s40 = hn::MulAdd(row, left, s40), s41 = hn::MulAdd(row, right, s41);
    row = hn::Set(d, a[5]);
    s50 = hn::MulAdd(row, left, s50), s51 = hn::MulAdd(row, right, s51);
  }
  hn::StoreU(s00, d, sums), hn::StoreU(s01, d, sums + lanes);
  hn::StoreU(s10, d, sums += stride), hn::StoreU(s11, d, sums + lanes);
  hn::StoreU(s20, d, sums += stride), hn::StoreU(s21, d, sums + lanes);
  hn::StoreU(s30, d, sums += stride), hn::StoreU(s31, d, sums + lanes);
  hn::StoreU(s40, d, sums += stride), hn::StoreU(s41, d, sums + lanes);
  hn::StoreU(s50, d, sums += stride), hn::StoreU(s51, d, sums + lanes);
}

void part(const PartOfProduct& p) {
  const hn::CappedTag<float, kMostTileColumns / 2> d;
  const size_t width = 2 * hn::Lanes(d);
  HWY_ALIGN_MAX float sums[kTileRows * kMostTileColumns];
  for (size_t from = 0; from < p.depth; from += kPartDepth) {
    const size_t depth = HWY_MIN(kPartDepth, p.depth - from);
    order(p.a.data + from * p.a.column_stride, p.c.rows, p.a.row_stride, depth, p.a.column_stride,
          kTileRows, p.a_ordered);
    order(p.b.data + from * p.b.row_stride, p.c.columns, p.b.column_stride, depth, p.b.row_stride,
          width, p.b_ordered);
    for (size_t j = 0; j < p.c.columns; j += width) {
      const size_t columns = HWY_MIN(width, p.c.columns - j);
      for (size_t i = 0; i < p.c.rows; i += kTileRows) {
        if (static_cast<std::ptrdiff_t>(j + columns) <=
            static_cast<std::ptrdiff_t>(i) + p.first_wanted) {
          break;
        }
        const size_t rows = HWY_MIN(kTileRows, p.c.rows - i);
        for (size_t r = 0; r < rows; ++r) __builtin_prefetch(p.c.data + (i + r) * p.c.stride + j);
        tile(d, p.a_ordered + i * depth, p.b_ordered + j * depth, depth, sums, width);
        for (size_t r = 0; r < rows; ++r) {
          float* c = p.c.data + (i + r) * p.c.stride + j;
          const float* sum = sums + r * width;
          for (size_t l = 0; l < columns; ++l) c[l] += p.factor * sum[l];
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace diptych::quant
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::quant {

HWY_EXPORT(part);

void add_product(const MatrixView& a, const MatrixView& b, size_t depth, float factor,
                 const ProductSum& c, ThreadPool& pool, Wanted wanted) {
  if (c.rows == 0 || c.columns == 0 || depth == 0) return;
  size_t part_rows = kPartRows, part_columns = kPartColumns;
  const auto parts = [](size_t size, size_t part) { return (size + part - 1) / part; };
  if (parts(c.rows, part_rows) * parts(c.columns, part_columns) <
      kPartsPerThread * static_cast<size_t>(pool.threads())) {
    part_rows /= 2;
    part_columns /= 2;
  }
  const size_t down = parts(c.rows, part_rows), across = parts(c.columns, part_columns);
  constexpr size_t kAlignment = 64 / sizeof(float);
  constexpr size_t kOrdered = kPartRows * kPartDepth,
                   kColumnsOrdered = (kPartColumns + kMostTileColumns) * kPartDepth;
  std::vector<float> memory(static_cast<size_t>(pool.threads()) * (kOrdered + kColumnsOrdered) +
                            kAlignment);
  float* const aligned = memory.data() + (kAlignment - reinterpret_cast<uintptr_t>(memory.data()) /
                                                           sizeof(float) % kAlignment);
  pool.parallel_for(
      static_cast<int64_t>(down * across), 1, [&](int64_t begin, int64_t end, int thread) {
        float* const own = aligned + static_cast<size_t>(thread) * (kOrdered + kColumnsOrdered);
        for (auto at = static_cast<size_t>(begin); at < static_cast<size_t>(end); ++at) {
          const size_t i = at / across * part_rows, j = at % across * part_columns;
          const size_t columns = std::min(part_columns, c.columns - j);
          const bool upper = wanted == Wanted::Upper;
          if (upper && j + columns <= i) continue;
          HWY_DYNAMIC_DISPATCH(part)
          ({{a.data + i * a.row_stride, a.row_stride, a.column_stride},
            {b.data + j * b.column_stride, b.row_stride, b.column_stride},
            depth,
            factor,
            {c.data + i * c.stride + j, c.stride, std::min(part_rows, c.rows - i), columns},
            own,
            own + kOrdered,
            upper ? static_cast<std::ptrdiff_t>(i) - static_cast<std::ptrdiff_t>(j)
                  : -static_cast<std::ptrdiff_t>(c.rows + c.columns)});
        }
      });
}

}  // namespace diptych::quant
#endif  // HWY_ONCE
