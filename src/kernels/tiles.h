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
//   kSteps                 vectors that make up a chunk's 16 lanes
//   Planes<type>           a step's share of a chunk of weights, in planes like activations'
//   kRows<M>, kMaxTile     sizes of tiles of integer weights
//   kFloatRows<M>, kMaxFloatTile   and of float weights
#pragma once

#include "kernels/variant.h"

namespace diptych::kernels {
namespace {

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Weight rows that are worked off for all rows of x before the next ones, so that they stay in the
// second level of cache.
constexpr int64_t kCachedBytes = int64_t{256} << 10;

// `size` bytes at `from`, of which those before `end` may be read. What the others are does not
// matter; they come from `spare` when there are any.
template <int64_t size>
[[gnu::always_inline]] inline const std::byte* readable(const std::byte* from, const std::byte* end,
                                                        std::byte (&spare)[size]) {
  if (end - from >= size) [[likely]] return from;
  __builtin_memset(spare, 0, size);
  __builtin_memcpy(spare, from, static_cast<size_t>(end - from));
  return spare;
}

// The scales of a chunk's blocks of weights: of block b, number `(b + phase) / per_scale` after
// `first` in the row, no later than `last` of them.
struct ChunkScales {
  int64_t first;
  float phase;      // blocks of the first scale that are before the chunk, and a half
  float per_scale;  // 1 / blocks per scale
  int32_t last;

  ChunkScales(const LinearWeight& weight, int64_t chunk) {
    const auto blocks = static_cast<uint32_t>(weight.block / kBlock);
    const uint32_t begin = static_cast<uint32_t>(chunk) * (kChunk / kBlock);
    first = begin / blocks;
    phase = static_cast<float>(begin % blocks) + 0.5f;
    per_scale = 1.0f / static_cast<float>(blocks);
    last = static_cast<int32_t>(weight.columns / weight.block - 1 - first);
  }
};

// One call of linear(): what its tiles have in common.
struct LinearCall {
  const LinearWeight& weight;
  const ActivationChunk* x;
  int64_t last;  // row of the weight
  Output y;
  int64_t chunks, row_bytes, scale_bytes;  // of a row
};

template <class V, DType type, bool has_blocks, int R, int M>
void tile(const LinearCall& call, int64_t row, int64_t m) {
  using Floats = typename V::Floats;
  constexpr int64_t kBytes = type == DType::Int4 ? kChunk / 2 : kChunk;
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
  const ActivationChunk* x[M];
  for (int i = 0; i < M; ++i) x[i] = call.x + (m + i) * call.chunks;

  Floats sums[R][M];
  for (auto& some : sums) {
    for (Floats& sum : some) sum = V::zero();
  }
  for (int64_t c = 0; c < call.chunks; ++c) {
    std::byte spare[R][kBytes], spare_scales[R][V::kScaleBytes];
    const std::byte *chunk[R], *chunk_scales[R];
    const ChunkScales where(weight, has_blocks ? c : 0);
    for (int r = 0; r < R; ++r) {
      chunk[r] = readable(data[r] + c * kBytes, end, spare[r]);
      if constexpr (M <= 1) {
        for (int64_t i = 0; i < kBytes; i += 64) {
          __builtin_prefetch(data[r] + c * kBytes + 2048 + i);
        }
      }
      if constexpr (has_blocks) {
        chunk_scales[r] =
            readable(scales[r] + where.first * scale_width, scales_end, spare_scales[r]);
      }
    }
    for (int step = 0; step < V::kSteps; ++step) {
      typename V::template Planes<type> planes[R];
      Floats row_scales[R];
      for (int r = 0; r < R; ++r) {
        planes[r] = V::template take_apart<type>(chunk[r], step);
        if constexpr (has_blocks) {
          row_scales[r] = V::block_scales(chunk_scales[r], weight.scale_dtype, where, step);
        }
      }
      for (int i = 0; i < M; ++i) {
        const ActivationChunk& activations = x[i][c];
        const Floats x_scales = V::load_f32(activations.scales + step * V::kLanes);
        for (int r = 0; r < R; ++r) {
          const Floats products = V::to_float(V::dot(planes[r], activations, step));
          const Floats factor = has_blocks ? V::multiply(x_scales, row_scales[r]) : x_scales;
          sums[r][i] = V::multiply_add(products, factor, sums[r][i]);
        }
      }
    }
  }

  for (int i = 0; i < M; ++i) {
    float* const y = call.y.data + (m + i) * call.y.stride;
    for (int r = 0; r < R && row + r < call.last; ++r) {
      const float sum = V::sum(sums[r][i]);
      y[row + r] = has_blocks ? sum : sum * V::scalar(scales[r], weight.scale_dtype);
    }
  }
}

// Calls tile<R, M> for M = `count`.
template <class V, DType type, bool has_blocks, int M = V::kMaxTile>
void tiles_of_rows(const LinearCall& call, int64_t first, int64_t last, int64_t m, int64_t count) {
  if constexpr (M > 1) {
    if (count < M) return tiles_of_rows<V, type, has_blocks, M - 1>(call, first, last, m, count);
  }
  constexpr int R = V::template kRows<M>;
  for (int64_t row = first; row < last; row += R) tile<V, type, has_blocks, R, M>(call, row, m);
}

template <class V, DType type, bool has_blocks>
void linear_of(const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
               int64_t last, const Output& y) {
  const int64_t row_bytes = type == DType::Int4 ? weight.columns / 2 : weight.columns;
  const LinearCall call{weight,
                        reinterpret_cast<const ActivationChunk*>(x.data),
                        last,
                        y,
                        (x.columns + kChunk - 1) / kChunk,
                        row_bytes,
                        weight.columns / weight.block * (weight.scale_dtype == DType::F16 ? 2 : 4)};
  const int64_t rows_at_once = (kCachedBytes / row_bytes | 7) + 1;
  for (int64_t row = first; row < last; row += rows_at_once) {
    const int64_t end = least(row + rows_at_once, last);
    for (int64_t m = 0; m < x.rows; m += V::kMaxTile) {
      tiles_of_rows<V, type, has_blocks>(call, row, end, m, least(V::kMaxTile, x.rows - m));
    }
  }
}

template <class V>
void linear(const LinearWeight& weight, const QuantizedActivations& x, int64_t first, int64_t last,
            const Output& y) {
  const bool has_blocks = weight.block != weight.columns;
  if (weight.dtype == DType::Int4) {
    (has_blocks ? linear_of<V, DType::Int4, true>
                : linear_of<V, DType::Int4, false>)(weight, x, first, last, y);
  } else {
    (has_blocks ? linear_of<V, DType::Int8, true>
                : linear_of<V, DType::Int8, false>)(weight, x, first, last, y);
  }
}

struct FloatCall {
  const FloatWeight& weight;
  const FloatInput& x;
  int64_t last;
  Output y;
};

template <class V, DType type, int R, int M>
void float_tile(const FloatCall& call, int64_t row, int64_t m) {
  using Floats = typename V::Floats;
  constexpr int64_t kWidth = type == DType::F32 ? 4 : 2;
  const int64_t columns = call.weight.columns, rest = columns % V::kLanes;
  const std::byte* data[R];
  for (int r = 0; r < R; ++r) {
    const int64_t index = row + r < call.last ? row + r : row;
    data[r] = call.weight.data + index * columns * kWidth;
  }
  const float* x[M];
  for (int i = 0; i < M; ++i) x[i] = call.x.data + (m + i) * call.x.stride;

  Floats sums[R][M];
  for (auto& some : sums) {
    for (Floats& sum : some) sum = V::zero();
  }
  int64_t at = 0;
  for (; at < columns - rest; at += V::kLanes) {
    Floats weights[R];
    for (int r = 0; r < R; ++r) weights[r] = V::template load<type>(data[r] + at * kWidth);
    for (int i = 0; i < M; ++i) {
      const Floats values = V::load_f32(x[i] + at);
      for (int r = 0; r < R; ++r) sums[r][i] = V::multiply_add(weights[r], values, sums[r][i]);
    }
  }
  if (rest > 0) {  // with zeros in the lanes that have no column
    std::byte spare[R][V::kLanes * kWidth] = {};
    for (int r = 0; r < R; ++r) {
      __builtin_memcpy(spare[r], data[r] + at * kWidth, static_cast<size_t>(rest * kWidth));
    }
    for (int i = 0; i < M; ++i) {
      float values[V::kLanes] = {};
      __builtin_memcpy(values, x[i] + at, static_cast<size_t>(rest) * sizeof(float));
      for (int r = 0; r < R; ++r) {
        sums[r][i] =
            V::multiply_add(V::template load<type>(spare[r]), V::load_f32(values), sums[r][i]);
      }
    }
  }
  for (int i = 0; i < M; ++i) {
    float* const y = call.y.data + (m + i) * call.y.stride;
    for (int r = 0; r < R && row + r < call.last; ++r) y[row + r] = V::sum(sums[r][i]);
  }
}

template <class V, DType type, int M = V::kMaxFloatTile>
void float_tiles_of_rows(const FloatCall& call, int64_t first, int64_t last, int64_t m,
                         int64_t count) {
  if constexpr (M > 1) {
    if (count < M) return float_tiles_of_rows<V, type, M - 1>(call, first, last, m, count);
  }
  constexpr int R = V::template kFloatRows<M>;
  for (int64_t row = first; row < last; row += R) float_tile<V, type, R, M>(call, row, m);
}

template <class V, DType type>
void linear_float_of(const FloatCall& call, int64_t first) {
  const int64_t row_bytes = call.weight.columns * (type == DType::F32 ? 4 : 2);
  const int64_t rows_at_once = (kCachedBytes / row_bytes | 7) + 1;
  for (int64_t row = first; row < call.last; row += rows_at_once) {
    const int64_t end = least(row + rows_at_once, call.last);
    for (int64_t m = 0; m < call.x.rows; m += V::kMaxFloatTile) {
      float_tiles_of_rows<V, type>(call, row, end, m, least(V::kMaxFloatTile, call.x.rows - m));
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
