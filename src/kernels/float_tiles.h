// The loops of linear_float() that the vector variants share. Included by each variant's file, to
// be compiled for its instruction set; hence the unnamed namespace.
//
// A tile is the products of R rows of the weight with M rows of x, summed in registers. The sums of
// one product of rows go through the same operations in the same order whatever the tile's size.
//
// V describes the vectors of an instruction set:
//   Floats, kLanes                 a register of so many lanes
//   sum_all()                      the sum of each register's lanes, always in the same order
//   kFloatRows<M>, kMaxFloatTile   sizes of tiles
#pragma once

#include "kernels/tiles.h"

namespace diptych::kernels {
namespace {

constexpr int64_t kPartColumns = 2048;
constexpr int64_t kSlabRows = 128;  // rows of x whose sums with a panel are kept

// With several rows of x, the float weight rows that come next are brought to the second level of
// cache while the present ones are worked off: a share of them with each tile.
class NextRows {
 public:
  // Nothing to bring.
  NextRows() = default;
  // Rows [first, last) of a weight, as far as it has them, while `tiles` tiles are computed.
  NextRows(const FloatWeight& weight, int64_t row_bytes, int64_t first, int64_t last, int64_t tiles)
      : at_(weight.data + first * row_bytes),
        end_(weight.data + least(last, weight.rows) * row_bytes),
        share_((end_ - at_) / tiles + kLine) {}

  void bring_share() {
    const std::byte* const stop = end_ - at_ > share_ ? at_ + share_ : end_;
    for (; at_ < stop; at_ += kLine) __builtin_prefetch(at_, 0, 2);
  }

 private:
  static constexpr int64_t kLine = 64;
  const std::byte *at_ = nullptr, *end_ = nullptr;
  int64_t share_ = 0;
};

struct FloatCall {
  const FloatWeight& weight;
  const FloatInput& x;
  int64_t last;
  Output y;
};

template <class V, DType type, int R, int M>
void float_tile(const FloatCall& call, int64_t row, int64_t m, const Part& part) {
  using Floats = typename V::Floats;
  constexpr int64_t kWidth = type == DType::F32 ? 4 : 2;
  const int64_t columns = call.weight.columns;
  const bool is_last = part.last == columns;
  const int64_t rest = is_last ? columns % V::kLanes : 0;
  const std::byte* data[R];
  for (int r = 0; r < R; ++r) {
    const int64_t index = row + r < call.last ? row + r : row;
    data[r] = call.weight.data + index * columns * kWidth;
  }
  const float* const x = call.x.data + m * call.x.stride;

  Floats sums[R][M];
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      sums[r][i] = part.first == 0 ? V::zero() : V::load_f32(part.sums + (r * M + i) * V::kLanes);
    }
  }
  int64_t at = part.first;
  const auto add_products = [&](int64_t column) __attribute__((always_inline)) {
    Floats weights[R];
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      weights[r] = V::template load<type>(data[r] + column * kWidth);
    }
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      const Floats values = V::load_f32(x + i * call.x.stride + column);
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        sums[r][i] = V::multiply_add(weights[r], values, sums[r][i]);
      }
    }
  };
  const int64_t end = part.last - rest;
  if constexpr (M == 1) {
    constexpr int64_t kLineColumns = 64 / kWidth;  // one prefetch for each
    for (; at + kLineColumns <= end; at += kLineColumns) {
      fetch_ahead(data, at * kWidth, columns * kWidth);
      DIPTYCH_UNROLL for (int64_t i = 0; i < kLineColumns; i += V::kLanes) add_products(at + i);
    }
  }
  // Two turns at once: the counting is not free where another thread shares the core.
  _Pragma("GCC unroll 2") for (; at < end; at += V::kLanes) add_products(at);
  if (rest > 0) {  // with zeros in the lanes that have no column
    std::byte spare[R][V::kLanes * kWidth] = {};
    for (int r = 0; r < R; ++r) {
      __builtin_memcpy(spare[r], data[r] + at * kWidth, static_cast<size_t>(rest * kWidth));
    }
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      float values[V::kLanes] = {};
      __builtin_memcpy(values, x + i * call.x.stride + at,
                       static_cast<size_t>(rest) * sizeof(float));
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        sums[r][i] =
            V::multiply_add(V::template load<type>(spare[r]), V::load_f32(values), sums[r][i]);
      }
    }
  }
  if (!is_last) {
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
        V::store_f32(sums[r][i], part.sums + (r * M + i) * V::kLanes);
      }
    }
    return;
  }
  float results[R][M];
  V::sum_all(sums, results);
  DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
    float* const y = call.y.data + (m + i) * call.y.stride;
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      if (row + r < call.last) y[row + r] = results[r][i];
    }
  }
}

// The tiles of rows [first, last) of the weight and `count` rows of x from m on, for M = `count`.
// Returns where the sums of the next ones go.
template <class V, DType type, int M = V::kMaxFloatTile>
float* float_tiles_of_rows(const FloatCall& call, int64_t first, int64_t last, int64_t m,
                           int64_t count, Part part, NextRows& next) {
  if constexpr (M > 1) {
    if (count < M) {
      return float_tiles_of_rows<V, type, M - 1>(call, first, last, m, count, part, next);
    }
  }
  constexpr int R = V::template kFloatRows<M>;
  for (int64_t row = first; row < last; row += R) {
    next.bring_share();
    float_tile<V, type, R, M>(call, row, m, part);
    if (part.sums != nullptr) part.sums += R * M * V::kLanes;
  }
  return part.sums;
}

// Rows [first, last) of the weight, kFloatRowsAtOnce at most, with rows [m_first, m_last) of x,
// kSlabRows at most. A part of the weight's rows stays in the second level of cache for all of x.
template <class V, DType type>
void float_panel(const FloatCall& call, int64_t first, int64_t last, int64_t m_first,
                 int64_t m_last) {
  const int64_t columns = call.weight.columns;
  constexpr int R = V::template kFloatRows<V::kMaxFloatTile>;
  static_assert(kFloatRowsAtOnce % R == 0);
  const int64_t tiles = quotient_rounded_up(m_last - m_first, V::kMaxFloatTile) *
                        quotient_rounded_up(last - first, R) *
                        quotient_rounded_up(columns, kPartColumns);
  NextRows next(call.weight, columns * (type == DType::F32 ? 4 : 2), last, last + kFloatRowsAtOnce,
                tiles);
  alignas(64) float all_sums[kFloatRowsAtOnce * kSlabRows * V::kLanes];
  for (int64_t column = 0; column < columns; column += kPartColumns) {
    Part part{column, least(column + kPartColumns, columns), all_sums};
    for (int64_t m = m_first, some; m < m_last; m += some) {
      some = tile_size<V::kMaxFloatTile>(m_last - m);
      part.sums = float_tiles_of_rows<V, type>(call, first, last, m, some, part, next);
    }
  }
}

template <class V, DType type>
void linear_float_of(const FloatCall& call, int64_t first) {
  const int64_t rows = call.x.rows;
  if (rows == 1) {
    NextRows none;
    float_tiles_of_rows<V, type>(call, first, call.last, 0, 1, {0, call.weight.columns, nullptr},
                                 none);
    return;
  }
  for (int64_t m = 0; m < rows; m += kSlabRows) {
    for (int64_t row = first; row < call.last; row += kFloatRowsAtOnce) {
      float_panel<V, type>(call, row, least(row + kFloatRowsAtOnce, call.last), m,
                           least(m + kSlabRows, rows));
    }
  }
}

template <class V>
void linear_float(const FloatWeight& weight, const FloatInput& x, int64_t first, int64_t last,
                  const Output& y) {
  const FloatCall call{weight, x, last, y};
  switch (weight.dtype) {
    case DType::F16:
      return linear_float_of<V, DType::F16>(call, first);
    case DType::BF16:
      return linear_float_of<V, DType::BF16>(call, first);
    default:
      return linear_float_of<V, DType::F32>(call, first);
  }
}

}  // namespace
}  // namespace diptych::kernels
