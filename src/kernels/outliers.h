// The few values of a row of x that are much larger than its others. In a block that is quantised
// with such a value little is left of the rest, so they are quantised as zeros, and what they add
// to the results is computed in fp32 (Dettmers and others, LLM.int8(), 2022, do so by whole columns
// of x).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/linear.h"
#include "kernels/palette.h"
#include "kernels/tiles.h"

namespace diptych::kernels {

// Of one row. A block's rounding errors go with the square of its largest value. Where that falls
// to a quarter or less when up to three values are taken out, and by 1 / kOutlierShare of the sum
// of all blocks' squares for each of them, they are outliers: the blocks that gain most, up to
// kMostOutliers. They stand in the order of columns. A row with a NaN or an infinity has none.
inline constexpr int kMostOutliers = 8;
inline constexpr int kOutlierShare = 32;
struct Outliers {
  int32_t count = 0;
  int32_t columns[kMostOutliers] = {};
  float values[kMostOutliers] = {};
};

Outliers find_outliers(const float* x, int64_t columns);

// Those of all rows, as quantize() left them.
const Outliers* outliers_of(Isa isa, const QuantizedActivations& x);

// Adds what the outliers of row m of x, outliers[m], are multiplied to: to y[m * y_stride + r], for
// the weight's rows r in [first, last), one product after another, rounded each and when added.
void add_outliers(const LinearWeight& weight, const Outliers* outliers, int64_t m_rows,
                  int64_t first, int64_t last, float* y, int64_t y_stride);
void add_outliers(const PaletteWeight& weight, const Outliers* outliers, int64_t m_rows,
                  int64_t first, int64_t last, float* y, int64_t y_stride);

namespace {  // (for what tiles.h says of rows is of each file's own)

// Calls run(begin, end), which puts the products of the rest of x where outliers' are added, for
// the weight's rows [first, last): with one row of x that has outliers so few at a time that the
// first level of cache still has them.
template <class Weight, class Run>
void run_and_add_outliers(Isa isa, const Weight& weight, const QuantizedActivations& x,
                          int64_t first, int64_t last, float* y, int64_t y_stride, const Run& run) {
  constexpr int64_t kNearBytes = 16 << 10, kRows = 16;
  const Outliers* const outliers = outliers_of(isa, x);
  const bool in_stretches = x.rows == 1 && outliers->count > 0;
  const int64_t near_rows = std::max<int64_t>(kNearBytes / row_bytes(weight) / kRows, 1) * kRows;
  const int64_t at_once = in_stretches ? near_rows : last - first;
  for (int64_t row = first; row < last; row += at_once) {
    const int64_t end = std::min(row + at_once, last);
    run(row, end);
    add_outliers(weight, outliers, x.rows, row, end, y, y_stride);
  }
}

}  // namespace
}  // namespace diptych::kernels
