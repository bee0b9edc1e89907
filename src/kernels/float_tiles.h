// The loops of linear_float() and linear_bf16() that the vector variants share. Included by each
// variant's file, to be compiled for its instruction set; hence the unnamed namespace.
//
// A tile is the products of R rows of the weight with M rows of x, summed in registers. The sums of
// one product of rows go through the same operations in the same order whatever the tile's size.
//
// V describes the vectors of an instruction set:
//   Floats, kLanes                 a register of so many sums
//   Factor, kFactors               numbers of x, so many to a register
//   load_factors(), load<type>()   a register of them; of weights
//   multiply_add()                 adds the products of two such registers to the sums
//   sum_all()                      the sum of each register's lanes, always in the same order
//   kFloatRows<M>, kMaxFloatTile   sizes of tiles
//   kPanelType<type>               what weights are converted to for several rows of x, if another
//   store_factors()                writes a register of these
#pragma once

#include "kernels/tiles.h"

namespace diptych::kernels {
namespace {

constexpr int64_t kSlabRows = 128;  // rows of x whose sums with a panel are kept

struct ByteRange {
  const std::byte *first, *last;
};

// With several rows of x, the float weight rows that come next are brought to the second level of
// cache while the present ones are worked off: a share of them with each tile.
class NextRows {
 public:
  // Nothing to bring.
  NextRows() = default;
  // Of these, while `tiles` tiles are computed.
  NextRows(const ByteRange& rows, int64_t tiles)
      : at_(rows.first), end_(rows.last), share_((end_ - at_) / tiles + kLine) {}

  void bring_share() {
    const std::byte* const stop = end_ - at_ > share_ ? at_ + share_ : end_;
    for (; at_ < stop; at_ += kLine) __builtin_prefetch(at_, 0, 2);
  }

 private:
  static constexpr int64_t kLine = 64;
  const std::byte *at_ = nullptr, *end_ = nullptr;
  int64_t share_ = 0;
};

template <class V>
struct FloatCall {
  int64_t columns;
  const InputRows<typename V::Factor>& x;
  int64_t last;
  Output y;
};

template <DType type>
constexpr int64_t kWidth = type == DType::F32 ? 4 : 2;

// Columns of a part, of weights of a type.
template <DType type>
constexpr int64_t kPartColumns = type == DType::F32 ? 1024 : 2048;

// Where a part of the weight's rows lies, from row `first` on.
struct PartRows {
  const std::byte* data;
  int64_t row_bytes, first;

  const std::byte* at(int64_t row) const { return data + (row - first) * row_bytes; }
};

// A register of the first `count` weights, and zeros.
template <class V, DType type>
[[gnu::always_inline]] inline auto load_some(const std::byte* from, int64_t count) {
  std::byte some[V::kFactors * kWidth<type>] = {};
  __builtin_memcpy(some, from, static_cast<size_t>(count * kWidth<type>));
  return V::template load<type>(some);
}

// (Not inlined: side by side, tiles of several sizes are compiled worse.)
template <class V, DType type, int R, int M>
[[gnu::noinline]] void float_tile(const FloatCall<V>& call, const PartRows& rows, int64_t row,
                                  int64_t m, const Part& part) {
  using Floats = typename V::Floats;
  using Factors = decltype(V::template load<type>(nullptr));
  const bool is_last = part.last == call.columns;
  const int64_t columns = part.last - part.first;
  const int64_t rest = is_last ? columns % V::kFactors : 0;
  const std::byte* data[R];
  for (int r = 0; r < R; ++r) data[r] = rows.at(row + r < call.last ? row + r : row);
  const auto* const x = call.x.data + m * call.x.stride + part.first;

  Floats sums[R][M];
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      sums[r][i] = part.first == 0 ? V::zero() : V::load_f32(part.sums + (r * M + i) * V::kLanes);
    }
  }
  int64_t at = 0;
  const auto add_products = [&](int64_t column) __attribute__((always_inline)) {
    Factors weights[R];
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      weights[r] = V::template load<type>(data[r] + column * kWidth<type>);
    }
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      const Factors values = V::load_factors(x + i * call.x.stride + column);
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        sums[r][i] = V::multiply_add(weights[r], values, sums[r][i]);
      }
    }
  };
  const int64_t end = columns - rest;
  if constexpr (M == 1) {
    constexpr int64_t kLineColumns = 64 / kWidth<type>;  // one prefetch for each
    for (; at + kLineColumns <= end; at += kLineColumns) {
      fetch_ahead(data, at * kWidth<type>, columns * kWidth<type>);
      DIPTYCH_UNROLL for (int64_t i = 0; i < kLineColumns; i += V::kFactors) add_products(at + i);
    }
  }
  // Two turns at once: the counting is not free where another thread shares the core.
  _Pragma("GCC unroll 2") for (; at < end; at += V::kFactors) add_products(at);
  if (rest > 0) {  // with zeros for the columns that are none
    Factors weights[R];
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      weights[r] = load_some<V, type>(data[r] + at * kWidth<type>, rest);
    }
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      typename V::Factor some[V::kFactors] = {};
      __builtin_memcpy(some, x + i * call.x.stride + at,
                       static_cast<size_t>(rest) * sizeof(some[0]));
      const Factors values = V::load_factors(some);
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        sums[r][i] = V::multiply_add(weights[r], values, sums[r][i]);
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
float* float_tiles_of_rows(const FloatCall<V>& call, const PartRows& rows, int64_t first,
                           int64_t last, int64_t m, int64_t count, Part part, NextRows& next) {
  if constexpr (M > 1) {
    if (count < M) {
      return float_tiles_of_rows<V, type, M - 1>(call, rows, first, last, m, count, part, next);
    }
  }
  constexpr int R = V::template kFloatRows<M>;
  for (int64_t row = first; row < last; row += R) {
    next.bring_share();
    float_tile<V, type, R, M>(call, rows, row, m, part);
    if (part.sums != nullptr) part.sums += R * M * V::kLanes;
  }
  return part.sums;
}

// With several rows of x, a panel of a weight's rows, kFloatRowsAtOnce at most, is worked off a
// part of its columns at a time. What it takes them from is one of the classes below and in
// dequantized_tiles.h:
//   kType                       what the weights are for the tiles
//   panel(first, last, part)    a part of rows [first, last)
//   bytes_of(first, last)       where those lie that the weight has of rows [first, last)

// Floats where they lie.
template <DType type>
class FloatRows {
 public:
  static constexpr DType kType = type;

  explicit FloatRows(const FloatWeight& weight) : weight_(weight) {}
  const std::byte* at(int64_t row, int64_t column) const {
    return weight_.data + (row * weight_.columns + column) * kWidth<type>;
  }
  PartRows panel(int64_t first, int64_t /*last*/, const Part& part) {
    return {at(first, part.first), weight_.columns * kWidth<type>, first};
  }
  ByteRange bytes_of(int64_t first, int64_t last) const {
    return {at(first, 0), at(least(last, weight_.rows), 0)};
  }

 private:
  const FloatWeight& weight_;
};

// Memory for a part of so many rows. (A line more per row: rows whose lengths are a power of two
// would meet in few places of a cache.)
template <DType type, int64_t row_count>
struct PanelMemory {
  static constexpr int64_t kRowBytes = kPartColumns<type> * kWidth<type> + 64;
  alignas(64) std::byte rows[row_count][kRowBytes];
};

// Converts the `columns` numbers of a row, filled up with zeros to whole registers.
template <class V, DType type>
void convert_row(const std::byte* from, int64_t columns, std::byte* to) {
  constexpr int64_t kRegister = V::kFactors * sizeof(typename V::Factor);
  int64_t at = 0;
  for (; at + V::kFactors <= columns; at += V::kFactors, to += kRegister) {
    V::store_factors(V::template load<type>(from + at * kWidth<type>), to);
  }
  if (at == columns) return;
  V::store_factors(load_some<V, type>(from + at * kWidth<type>, columns - at), to);
}

// Floats that become others.
template <class V, DType type>
class ConvertedRows {
 public:
  static constexpr DType kType = V::template kPanelType<type>;

  explicit ConvertedRows(const FloatWeight& weight) : stored_(weight) {}
  PartRows panel(int64_t first, int64_t last, const Part& part) {
    for (int64_t row = first; row < last; ++row) {
      convert_row<V, type>(stored_.at(row, part.first), part.last - part.first,
                           memory_.rows[row - first]);
    }
    return {memory_.rows[0], memory_.kRowBytes, first};
  }
  ByteRange bytes_of(int64_t first, int64_t last) const { return stored_.bytes_of(first, last); }

 private:
  FloatRows<type> stored_;
  using Memory = PanelMemory<kType, kFloatRowsAtOnce>;
  Memory& memory_ = kernel_object<Memory>(KernelMemory::Panel);
};

// Rows [first, last) of the weight, kFloatRowsAtOnce at most, with rows [m_first, m_last) of x,
// kSlabRows at most. A part of the weight's rows stays in the second level of cache for all of x.
template <class V, class Rows>
void float_panel(const FloatCall<V>& call, Rows& weight, int64_t first, int64_t last,
                 int64_t m_first, int64_t m_last) {
  constexpr int64_t kColumns = kPartColumns<Rows::kType>;
  constexpr int R = V::template kFloatRows<V::kMaxFloatTile>;
  static_assert(kFloatRowsAtOnce % R == 0);
  const int64_t tiles = quotient_rounded_up(m_last - m_first, V::kMaxFloatTile) *
                        quotient_rounded_up(last - first, R) *
                        quotient_rounded_up(call.columns, kColumns);
  NextRows next(weight.bytes_of(last, last + kFloatRowsAtOnce), tiles);
  using Sums = float[kFloatRowsAtOnce * kSlabRows * V::kLanes];
  Sums& all_sums = kernel_object<Sums>(KernelMemory::Sums);
  for (int64_t column = 0; column < call.columns; column += kColumns) {
    Part part{column, least(column + kColumns, call.columns), all_sums};
    const PartRows rows = weight.panel(first, last, part);
    for (int64_t m = m_first, some; m < m_last; m += some) {
      some = tile_size<V::kMaxFloatTile>(m_last - m);
      part.sums = float_tiles_of_rows<V, Rows::kType>(call, rows, first, last, m, some, part, next);
    }
  }
}

// Several rows of x.
template <class V, class Rows>
void float_panels(const FloatCall<V>& call, Rows weight, int64_t first) {
  for (int64_t m = 0; m < call.x.rows; m += kSlabRows) {
    for (int64_t row = first; row < call.last; row += kFloatRowsAtOnce) {
      float_panel(call, weight, row, least(row + kFloatRowsAtOnce, call.last), m,
                  least(m + kSlabRows, call.x.rows));
    }
  }
}

// For weights of a type.
template <class V, DType type>
void multiply_floats(const FloatCall<V>& call, const FloatWeight& weight, int64_t first) {
  if (call.x.rows == 1) {
    NextRows none;
    const Part all{0, call.columns, nullptr};
    const PartRows rows = FloatRows<type>(weight).panel(0, weight.rows, all);
    float_tiles_of_rows<V, type>(call, rows, first, call.last, 0, 1, all, none);
    return;
  }
  if constexpr (V::template kPanelType<type> != type) {
    // (What is loaded once is converted on its way.)
    if (call.x.rows > V::kMaxFloatTile) {
      return float_panels(call, ConvertedRows<V, type>(weight), first);
    }
  }
  float_panels(call, FloatRows<type>(weight), first);
}

template <class V>
void linear_float(const FloatWeight& weight, const FloatInput& x, int64_t first, int64_t last,
                  const Output& y) {
  const FloatCall<V> call{weight.columns, x, last, y};
  switch (weight.dtype) {
    case DType::F16:
      return multiply_floats<V, DType::F16>(call, weight, first);
    case DType::BF16:
      return multiply_floats<V, DType::BF16>(call, weight, first);
    default:
      return multiply_floats<V, DType::F32>(call, weight, first);
  }
}

}  // namespace
}  // namespace diptych::kernels
