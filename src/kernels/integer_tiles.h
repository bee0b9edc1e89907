// The loops of linear() that the vector variants share. Included by each variant's file, to be
// compiled for its instruction set; hence the unnamed namespace.
//
// A tile is the products of R rows of the weight with M rows of x, summed in registers: weights are
// taken apart once for M rows of x. When there are more rows of x than a tile takes, a panel of
// weight rows is taken apart once for all of them. The sums of one product of rows go through the
// same operations in the same order whatever the tile's size, so that it does not show in the
// result.
//
// V describes the vectors of an instruction set:
//   Floats, Ints           one register of lanes
//   kLanes                 of Floats
//   Chunk                  the chunks of activations
//   ScaleIndex             which of a chunk's scales the lanes of a step need, for block_scales()
//   kSteps                 vectors that make up a chunk's 16 lanes
//   kRaised<type>          whether dot() takes weights as unsigned, so that offsets must be added
//   Planes<type>           a step's share of a chunk of weights, in planes like activations', each
//                          a register that is loaded and stored by load_plane() and store_plane()
//   kRows<M>, kMaxTile     sizes of tiles
//   kMaxStreamed<type>     rows of x in a tile whose weights come from the file, no longer than
//                          kPartColumns
//   rows_for_panels()      rows of x from which on weights are taken apart once for all tiles
//   kLanesAreRows          whether that is into strips (integer_strips.h) instead of panels
//   kPartColumns           of a row of x, so that a tile's rows fit the first level of cache
//   kTogether<M>           rows of x, of a tile's M, that dot() takes at once
//   dot()                  a step's sums of integers, of R rows of the weight with rows of x
//   dot_half()             a step's sums of the first or the second half of each block, of weights
//                          as they are: what they were raised by is taken off
//   half_scales()          a step's scales of those halves, where each has its own
//   ShortPlanes<type>, dot_short(), dot_short_half()
//                          the same for a short chunk (activations.h), whose first step has half of
//                          it where there are two
//   store_sums()           the sum of each register's lanes, always in the same order, scaled
//   all(value)             a register whose lanes are the same
//
// A weight with offsets, scale * (q - offset), takes off the sums of x: activations hold those,
// times what raises q. So a block's shift is what they are to be multiplied with: 1 for what was
// raised, and the offset as a share of that.
#pragma once

#include "kernels/integer_strips.h"
#include "kernels/integer_sums.h"

namespace diptych::kernels {
namespace {

// Adds the products of `planes`, a step's of R rows of the weight, with a chunk of each of M rows
// of x.
template <class V, DType type, Scales kScales, bool kShort, int R, int M, class Rows, class Planes>
[[gnu::always_inline]] inline void add_step(const Rows& rows, const Planes (&planes)[R],
                                            const typename V::Chunk* x, int64_t x_stride, int step,
                                            typename V::Floats (&sums)[R][M]) {
  using Floats = typename V::Floats;
  using Chunk = typename V::Chunk;
  constexpr int kTogether = V::template kTogether<M>;
  static_assert(M % kTogether == 0);
  Floats row_scales[R]{}, row_shifts[R]{};
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
    if constexpr (kScales != Scales::PerRow) row_scales[r] = rows.scales(r, step);
    if constexpr (has_shifts(kScales)) row_shifts[r] = rows.shifts(r, step);
  }
  DIPTYCH_UNROLL for (int i = 0; i < M; i += kTogether) {
    const Chunk* chunks[kTogether];
    typename V::Ints dots[R][kTogether];
    DIPTYCH_UNROLL for (int j = 0; j < kTogether; ++j) chunks[j] = x + (i + j) * x_stride;
    if constexpr (kScales != Scales::PerHalf) {
      if constexpr (kShort) {
        V::template dot_short<type>(planes, chunks, step, dots);
      } else {
        V::template dot<type>(planes, chunks, step, dots);
      }
    }
    DIPTYCH_UNROLL for (int j = 0; j < kTogether; ++j) {
      const Floats x_scales = V::load_f32(chunks[j]->scales + step * V::kLanes);
      const auto x_offsets = [&] { return V::load_f32(chunks[j]->offsets + step * V::kLanes); };
      const auto dots_of_half = [&](int r, int half) {
        if constexpr (kShort) {
          return V::template dot_short_half<type>(planes[r], *chunks[j], step, half);
        } else {
          return V::template dot_half<type>(planes[r], *chunks[j], step, half);
        }
      };
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        typename V::Ints second_dots{};
        if constexpr (kScales == Scales::PerHalf) {
          dots[r][j] = dots_of_half(r, 0);
          second_dots = dots_of_half(r, 1);
        }
        Floats& sum = sums[r][i + j];
        sum = with_products<V, type, kScales>(sum, dots[r][j], second_dots, x_scales, x_offsets,
                                              row_scales[r], row_shifts[r]);
      }
    }
  }
}

template <class V, DType type, Scales kScales, int R, int M, class Weights>
void tile(const LinearCall<typename V::Chunk>& call, const Weights& weights, int64_t row, int64_t m,
          const typename V::Floats* first_sums, const Part& part) {
  using Floats = typename V::Floats;
  auto rows = weights.template rows<type, kScales, R>(call, row);
  const typename V::Chunk* const x = call.x + m * call.chunks;

  Floats sums[R][M];
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
    DIPTYCH_UNROLL for (int i = 0; i < M; ++i) {
      sums[r][i] =
          part.first == 0 ? first_sums[i] : V::load_f32(part.sums + (r * M + i) * V::kLanes);
    }
  }
  typename decltype(rows)::Spare spare;
  const int64_t whole = least(part.last, call.chunks - (call.ends_short ? 1 : 0));
  for (int64_t c = part.first; c < whole; ++c) {
    rows.move_to(c, spare);
    DIPTYCH_UNROLL for (int step = 0; step < V::kSteps; ++step) {
      decltype(rows.planes(0, 0)) planes[R];
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) planes[r] = rows.planes(r, step);
      add_step<V, type, kScales, false>(rows, planes, x + c, call.chunks, step, sums);
    }
  }
  if (whole < part.last) {
    rows.move_to(whole, spare);
    const int64_t columns = call.weight.columns - whole * V::Chunk::kColumns;
    const int steps = columns * V::kSteps <= ShortChunk::kColumns ? 1 : V::kSteps;
    for (int step = 0; step < steps; ++step) {
      typename V::template ShortPlanes<type> planes[R];
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) planes[r] = rows.short_planes(r, step);
      add_step<V, type, kScales, true>(rows, planes, x + whole, call.chunks, step, sums);
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
  const LinearWeight& weight = call.weight;
  float scales[R];
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
    const int64_t stored = row + r < call.last ? row + r : row;
    scales[r] = kScales == Scales::PerRow
                    ? V::scalar(weight.scales + stored * call.scale_bytes, weight.scale_dtype)
                    : 1;
  }
  float* const y = call.y.data + m * call.y.stride + row;
  V::store_sums(sums, scales, static_cast<int>(least(R, call.last - row)), y, call.y.stride);
}

// The tiles of rows [first, last) of the weight and `count` rows of x from m on, for M = `count`.
template <class V, DType type, Scales kScales, class Weights, int M = V::kMaxTile>
void tiles_of_rows(const LinearCall<typename V::Chunk>& call, const Weights& weights, int64_t first,
                   int64_t last, int64_t m, int64_t count) {
  if constexpr (M > 1) {
    if (count < M) {
      return tiles_of_rows<V, type, kScales, Weights, M - 1>(call, weights, first, last, m, count);
    }
  }
  constexpr int R = V::template kRows<M>;
  constexpr int64_t kPartChunks = V::kPartColumns / V::Chunk::kColumns;
  typename V::Floats first_sums[M];
  for (int i = 0; i < M; ++i) first_sums[i] = first_sum<V, type, kScales>(call, m + i);
  // Of rows that are streamed two at a time, parts would be many short streams.
  constexpr bool kWhole = M == 1 || (Weights::kStreamed && R > 1);
  if (kWhole || call.chunks <= kPartChunks) {
    for (int64_t row = first; row < last; row += R) {
      tile<V, type, kScales, R, M>(call, weights, row, m, first_sums, {0, call.chunks, nullptr});
    }
    return;
  }
  // The sums of a block of rows, between parts.
  alignas(64) float sums[(kPartRows + R) * M * V::kLanes];
  for (int64_t begin = first; begin < last; begin += kPartRows) {
    const int64_t end = least(begin + kPartRows, last);
    for (int64_t chunk = 0; chunk < call.chunks; chunk += kPartChunks) {
      Part part{chunk, least(chunk + kPartChunks, call.chunks), sums};
      for (int64_t row = begin; row < end; row += R, part.sums += R * M * V::kLanes) {
        tile<V, type, kScales, R, M>(call, weights, row, m, first_sums, part);
      }
    }
  }
}

// Many rows of x: panel after panel, of rows from `row` on that take_apart(call, row, panel) makes.
template <class V, DType type, Scales kScales, class TakeApart>
void panels(LinearCall<typename V::Chunk> call, int64_t first, int64_t m_rows, int64_t panel_rows,
            const TakeApart& take_apart) {
  const int64_t last = call.last;
  auto& panel = kernel_object<Panel<V>>(KernelMemory::Panel);
  for (int64_t row = first; row < last; row += panel_rows) {
    call.last = least(row + panel_rows, last);
    take_apart(call, row, panel);
    for (int64_t m = 0, some; m < m_rows; m += some) {
      some = tile_size<V::kMaxTile>(m_rows - m);
      tiles_of_rows<V, type, kScales>(call, FromPanel<V>{panel}, row, call.last, m, some);
    }
  }
}

// A few rows of x, in tiles of at most kMost over the same rows of the weight, which come from afar
// once.
template <class V, DType type, Scales kScales, int kMost>
void tiles_from_file(const LinearCall<typename V::Chunk>& call, int64_t first, int64_t m_rows) {
  constexpr int64_t kSharedRows = 16;
  const ScaleIndices<V> indices(call.weight);
  const int64_t at_once = m_rows <= kMost ? call.last - first : kSharedRows;
  for (int64_t row = first; row < call.last; row += at_once) {
    for (int64_t m = 0, some; m < m_rows; m += some) {
      some = tile_size<kMost>(m_rows - m);
      tiles_of_rows<V, type, kScales, FromFile<V>, kMost>(call, FromFile<V>{indices}, row,
                                                          least(row + at_once, call.last), m, some);
    }
  }
}

template <class V, DType type, Scales kScales>
void linear_of(const LinearCall<typename V::Chunk>& call, int64_t first, int64_t m_rows) {
  if constexpr (V::kLanesAreRows) {
    if (m_rows >= V::rows_for_panels(call.chunks) && Strip<V>::fits(call)) {
      const ScaleIndices<V> indices(call.weight);
      return strips<V, type, kScales>(call, FromFile<V>{indices}, first, m_rows);
    }
  } else {
    const auto rows_of = [&](int64_t chunks) {
      return chunks / call.chunks / kLeastPanelRows * kLeastPanelRows;
    };
    // For few rows of x, what is taken apart is best used while it is in the first level of cache.
    constexpr int64_t kFewRows = 16, kFewChunks = Panel<V>::kChunks / 16;
    const bool few = m_rows <= kFewRows && call.chunks <= kFewChunks / kLeastPanelRows;
    const int64_t panel_rows = rows_of(few ? kFewChunks : Panel<V>::kChunks);
    if (m_rows >= V::rows_for_panels(call.chunks) && panel_rows > 0) {
      const auto take_apart = [](const auto& of_panel, int64_t row, Panel<V>& panel) {
        panel.template take_apart<type, kScales>(of_panel, row, of_panel.last - row);
      };
      return panels<V, type, kScales>(call, first, m_rows, panel_rows, take_apart);
    }
  }
  constexpr int kMostOfShort = V::template kMaxStreamed<type>;
  const bool is_short = call.weight.columns <= V::kPartColumns;
  const auto run = is_short ? tiles_from_file<V, type, kScales, kMostOfShort>
                            : tiles_from_file<V, type, kScales, V::kMaxTile>;
  run(call, first, m_rows);
}

template <class V, DType type>
void linear_of(const LinearTask& task) {
  const LinearWeight& weight = task.weight;
  const bool shifted = weight.offsets != nullptr;
  const bool uniform = has_uniform_scales<typename V::Chunk>(weight);
  const auto run = weight.block == weight.columns && !shifted ? linear_of<V, type, Scales::PerRow>
                   : weight.block == kHalfBlock               ? linear_of<V, type, Scales::PerHalf>
                   : !shifted && uniform                      ? linear_of<V, type, Scales::Uniform>
                   : !shifted                                 ? linear_of<V, type, Scales::General>
                   : uniform ? linear_of<V, type, Scales::UniformShifted>
                             : linear_of<V, type, Scales::GeneralShifted>;
  run(call_of<typename V::Chunk, type>(weight, task), task.first, task.x.rows);
}

template <class V>
void linear(const LinearTask& task) {
  const auto run =
      task.weight.dtype == DType::Int4 ? linear_of<V, DType::Int4> : linear_of<V, DType::Int8>;
  run(task);
}

}  // namespace
}  // namespace diptych::kernels
