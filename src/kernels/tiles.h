// The loops that the vector variants share. Included by each variant's file, to be compiled for its
// instruction set; hence the unnamed namespace.
//
// A tile is the products of R rows of the weight with M rows of x, summed in registers: weights are
// taken apart once for M rows of x. The sums of one product of rows go through the same operations
// in the same order whatever the tile's size, so that it does not show in the result.
//
// V describes the vectors of an instruction set:
//   Floats, Ints           one register of lanes
//   kLanes                 of Floats
//   Chunk                  the chunks of activations
//   kSteps                 vectors that make up a chunk's 16 lanes
//   kRaised<type>          whether dot() takes weights as unsigned, so that offsets must be added
//   Planes<type>           a step's share of a chunk of weights, in planes like activations'
//   kRows<M>, kMaxTile     sizes of tiles of integer weights
//   kFloatRows<M>, kMaxFloatTile   and of float weights
#pragma once

#include "kernels/variant.h"

// Before a loop of few, constant turns over arrays that are to stay in registers.
#define DIPTYCH_UNROLL _Pragma("GCC unroll 16")

namespace diptych::kernels {
namespace {

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t quotient_rounded_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Weight rows that are worked off for all rows of x before the next ones, so that they stay in the
// second level of cache.
constexpr int64_t kCachedBytes = int64_t{256} << 10;

// With several rows of x, longer rows are worked off in parts, so that a tile's part of x is no
// larger than the first level of cache; between parts a block's sums are kept in memory.
constexpr int64_t kPartColumns = 2048;
constexpr int64_t kPrefetchBytes = 4096;  // ahead in a row of the weight, with one row of x
constexpr int64_t kPartRows = 64;         // rows of the weight whose sums are kept
constexpr int64_t kSlabRows = 128;        // rows of x whose sums with a panel of floats are kept

// `size` bytes at `from`, of which those before `end` may be read. What the others are does not
// matter; they come from `spare` when there are any.
template <int64_t size>
[[gnu::always_inline]] inline const std::byte* readable(const std::byte* from, const std::byte* end,
                                                        std::byte (&spare)[size]) {
  if (end - from >= size) [[likely]]
    return from;
  __builtin_memset(spare, 0, size);
  __builtin_memcpy(spare, from, static_cast<size_t>(end - from));
  return spare;
}

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

// The scales of a chunk's blocks of weights: of block b, number `(b + phase) / per_scale` after
// `first` in the row, no later than `last` of them.
struct ChunkScales {
  int64_t first;
  float phase;      // blocks of the first scale that are before the chunk, and a half
  float per_scale;  // 1 / blocks per scale
  int32_t last;

  ChunkScales(const LinearWeight& weight, int64_t first_block) {
    const auto blocks = static_cast<uint32_t>(weight.block / kBlock);
    const auto begin = static_cast<uint32_t>(first_block);
    first = begin / blocks;
    phase = static_cast<float>(begin % blocks) + 0.5f;
    per_scale = 1.0f / static_cast<float>(blocks);
    last = static_cast<int32_t>(weight.columns / weight.block - 1 - first);
  }
};

// One call of linear(): what its tiles have in common.
template <class Chunk>
struct LinearCall {
  const LinearWeight& weight;
  const Chunk* x;
  int64_t last;  // row of the weight
  Output y;
  int64_t chunks, row_bytes, scale_bytes;  // of a row
};

// Part [first, last) of the sums of a tile: of chunks, or of float columns. `sums` is where a
// tile's sums come from, but for the first part, and go to, but for the last.
struct Part {
  int64_t first, last;
  float* sums;
};

// How the scales of a weight's row are found: one for all; the same way for every chunk, all of
// them whole with the same number of scales; or anew for each chunk.
enum class Scales { PerRow, Uniform, General };

// What the sums of row m of x begin with: with one scale per row of the weight, the offsets need
// not be added block by block.
template <class V, DType type, Scales kScales>
typename V::Floats first_sum(const LinearCall<typename V::Chunk>& call, int64_t m) {
  typename V::Floats sum = V::zero();
  if constexpr (V::template kRaised<type> && kScales == Scales::PerRow) {
    const typename V::Chunk* x = call.x + m * call.chunks;
    for (int64_t c = 0; c < call.chunks; ++c) {
      for (int step = 0; step < V::kSteps; ++step) {
        sum = V::add(sum, V::load_f32(x[c].offsets + step * V::kLanes));
      }
    }
  }
  return sum;
}

template <class V, DType type, Scales kScales, int R, int M>
void tile(const LinearCall<typename V::Chunk>& call, int64_t row, int64_t m,
          const typename V::Floats* first_sums, const Part& part) {
  using Floats = typename V::Floats;
  using Chunk = typename V::Chunk;
  constexpr int64_t kBytes = type == DType::Int4 ? Chunk::kColumns / 2 : Chunk::kColumns;
  const LinearWeight& weight = call.weight;
  const std::byte* const end = weight.data + weight.rows * call.row_bytes;
  const int64_t scale_width = weight.scale_dtype == DType::F16 ? 2 : 4;
  const std::byte* const scales_end = weight.scales + weight.rows * call.scale_bytes;

  // Rows that the last tile lacks are computed as copies of its first and thrown away.
  const std::byte *data[R], *scales[R];
  for (int r = 0; r < R; ++r) {
    const int64_t index = row + r < call.last ? row + r : row;
    data[r] = weight.data + index * call.row_bytes;
    scales[r] = weight.scales + index * call.scale_bytes;
  }
  const Chunk* const x = call.x + m * call.chunks;

  Floats sums[R][M];
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      sums[r][i] =
          part.first == 0 ? first_sums[i] : V::load_f32(part.sums + (r * M + i) * V::kLanes);
    }
  }
  typename V::Ints scale_index[V::kSteps];
  const auto find_scales = [&](const ChunkScales& where) {
    for (int step = 0; step < V::kSteps; ++step) scale_index[step] = V::scale_index(where, step);
    return where.first;
  };
  const int64_t chunk_scales_count = Chunk::kColumns / weight.block;
  if constexpr (kScales == Scales::Uniform) find_scales(ChunkScales(weight, 0));
  const auto scale_of_chunk = [&](int64_t c) -> int64_t {
    if constexpr (kScales == Scales::PerRow) return 0;
    if constexpr (kScales == Scales::Uniform) return c * chunk_scales_count;
    return find_scales(ChunkScales(weight, c * Chunk::kBlocks));
  };
  for (int64_t c = part.first; c < part.last; ++c) {
    std::byte spare[R][kBytes], spare_scales[R][V::kScaleBytes];
    const std::byte *chunk[R], *chunk_scales[R];
    const int64_t first_scale = scale_of_chunk(c);
    for (int r = 0; r < R; ++r) {
      chunk[r] = readable(data[r] + c * kBytes, end, spare[r]);
      if constexpr (M <= 1) {
        for (int64_t i = 0; i < kBytes; i += 64) {
          __builtin_prefetch(data[r] + c * kBytes + kPrefetchBytes + i);
        }
      }
      if constexpr (kScales != Scales::PerRow) {
        chunk_scales[r] =
            readable(scales[r] + first_scale * scale_width, scales_end, spare_scales[r]);
      }
    }
    DIPTYCH_UNROLL for (int step = 0; step < V::kSteps; ++step) {
      typename V::template Planes<type> planes[R];
      Floats row_scales[R];
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        planes[r] = V::template take_apart<type>(chunk[r], step);
        if constexpr (kScales != Scales::PerRow) {
          row_scales[r] = V::block_scales(chunk_scales[r], weight.scale_dtype, scale_index[step]);
        }
      }
      DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
        const Chunk& activations = x[i * call.chunks + c];
        const Floats x_scales = V::load_f32(activations.scales + step * V::kLanes);
        typename V::Ints dots[R];
        V::template dot<type>(planes, activations, step, dots);
        DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
          const Floats products = V::to_float(dots[r]);
          if constexpr (kScales == Scales::PerRow) {
            sums[r][i] = V::multiply_add(products, x_scales, sums[r][i]);
          } else if constexpr (V::template kRaised<type>) {
            const Floats scaled = V::multiply_add(
                products, x_scales, V::load_f32(activations.offsets + step * V::kLanes));
            sums[r][i] = V::multiply_add(scaled, row_scales[r], sums[r][i]);
          } else {
            sums[r][i] =
                V::multiply_add(products, V::multiply(x_scales, row_scales[r]), sums[r][i]);
          }
        }
      }
    }
  }

  if (part.last < call.chunks) {
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
        V::store_f32(sums[r][i], part.sums + (r * M + i) * V::kLanes);
      }
    }
    return;
  }
  DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
    float* const y = call.y.data + (m + i) * call.y.stride;
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      if (row + r >= call.last) continue;
      const float sum = V::sum(sums[r][i]);
      y[row + r] = kScales != Scales::PerRow ? sum : sum * V::scalar(scales[r], weight.scale_dtype);
    }
  }
}

// The tiles of rows [first, last) of the weight and `count` rows of x from m on, for M = `count`.
template <class V, DType type, Scales kScales, int M = V::kMaxTile>
void tiles_of_rows(const LinearCall<typename V::Chunk>& call, int64_t first, int64_t last,
                   int64_t m, int64_t count) {
  if constexpr (M > 1) {
    if (count < M) return tiles_of_rows<V, type, kScales, M - 1>(call, first, last, m, count);
  }
  constexpr int R = V::template kRows<M>;
  constexpr int64_t kPartChunks = kPartColumns / V::Chunk::kColumns;
  typename V::Floats first_sums[M];
  for (int i = 0; i < M; ++i) first_sums[i] = first_sum<V, type, kScales>(call, m + i);
  if (M == 1 || call.chunks <= kPartChunks) {
    for (int64_t row = first; row < last; row += R) {
      tile<V, type, kScales, R, M>(call, row, m, first_sums, {0, call.chunks, nullptr});
    }
    return;
  }
  alignas(64) float sums[(kPartRows + R) * M * V::kLanes];
  for (int64_t chunk = 0; chunk < call.chunks; chunk += kPartChunks) {
    Part part{chunk, least(chunk + kPartChunks, call.chunks), sums};
    for (int64_t row = first; row < last; row += R, part.sums += R * M * V::kLanes) {
      tile<V, type, kScales, R, M>(call, row, m, first_sums, part);
    }
  }
}

// How many of `left` rows of x the next tile takes: all tiles but the last are as large as
// possible, and the last two share what is left.
template <int kMax>
int64_t tile_size(int64_t left) {
  if (left <= kMax) return left;
  return left < 2 * kMax ? (left + 1) / 2 : kMax;
}

template <class V, DType type, Scales kScales>
void linear_of(const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
               int64_t last, const Output& y) {
  const int64_t row_bytes = type == DType::Int4 ? weight.columns / 2 : weight.columns;
  using Chunk = typename V::Chunk;
  const LinearCall<Chunk> call{
      weight,
      reinterpret_cast<const Chunk*>(x.data),
      last,
      y,
      quotient_rounded_up(x.columns, Chunk::kColumns),
      row_bytes,
      weight.columns / weight.block * (weight.scale_dtype == DType::F16 ? 2 : 4)};
  const int64_t rows_at_once = least((kCachedBytes / row_bytes | 7) + 1,
                                     x.rows > 1 && x.columns > kPartColumns ? kPartRows : last);
  for (int64_t row = first; row < last; row += rows_at_once) {
    const int64_t end = least(row + rows_at_once, last);
    for (int64_t m = 0, some; m < x.rows; m += some) {
      some = tile_size<V::kMaxTile>(x.rows - m);
      tiles_of_rows<V, type, kScales>(call, row, end, m, some);
    }
  }
}

template <class V, DType type>
void linear_of(const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
               int64_t last, const Output& y) {
  const auto run =
      weight.block == weight.columns ? linear_of<V, type, Scales::PerRow>
      : V::Chunk::kColumns % weight.block == 0 && weight.columns % V::Chunk::kColumns == 0
          ? linear_of<V, type, Scales::Uniform>
          : linear_of<V, type, Scales::General>;
  run(weight, x, first, last, y);
}

template <class V>
void linear(const LinearWeight& weight, const QuantizedActivations& x, int64_t first, int64_t last,
            const Output& y) {
  const auto run =
      weight.dtype == DType::Int4 ? linear_of<V, DType::Int4> : linear_of<V, DType::Int8>;
  run(weight, x, first, last, y);
}

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
  // Two turns at once: the counting is not free where another thread shares the core.
  _Pragma("GCC unroll 2") for (; at < part.last - rest; at += V::kLanes) {
    Floats weights[R];
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      weights[r] = V::template load<type>(data[r] + at * kWidth);
      if constexpr (M <= 1) __builtin_prefetch(data[r] + at * kWidth + kPrefetchBytes);
    }
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      const Floats values = V::load_f32(x + i * call.x.stride + at);
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        sums[r][i] = V::multiply_add(weights[r], values, sums[r][i]);
      }
    }
  }
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
  DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
    float* const y = call.y.data + (m + i) * call.y.stride;
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
      if (!is_last) {
        V::store_f32(sums[r][i], part.sums + (r * M + i) * V::kLanes);
      } else if (row + r < call.last) {
        y[row + r] = V::sum(sums[r][i]);
      }
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
