// What the loops over tiles share, of integer and of float weights. Included by each variant's
// file, to be compiled for its instruction set; hence the unnamed namespace.
#pragma once

#include "kernels/kernel_memory.h"
#include "kernels/variant.h"

// Before a loop of few, constant turns over arrays that are to stay in registers.
#define DIPTYCH_UNROLL _Pragma("GCC unroll 16")

namespace diptych::kernels {
namespace {

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t most(int64_t a, int64_t b) { return a < b ? b : a; }

// The calling thread's memory of a kind as an object of a plain type, of unknown contents.
template <class T>
T& kernel_object(KernelMemory kind) {
  static_assert(__is_trivially_copyable(T));
  return *reinterpret_cast<T*>(kernel_memory(kind, sizeof(T)));
}

constexpr int64_t kPrefetchBytes = 4096;  // ahead in a row of the weight, with one row of x
constexpr int64_t kCacheLine = 64;

// Fetches `size` bytes ahead of `from`.
template <int64_t size>
[[gnu::always_inline]] inline void fetch_row_ahead(const std::byte* from) {
  DIPTYCH_UNROLL for (int64_t i = 0; i < size; i += kCacheLine) {
    __builtin_prefetch(from + kPrefetchBytes + i);
  }
}

// Fetches `size` bytes of the tile after the next, into the second level of cache, in the order in
// which they lie there: a processor's own prefetcher follows one stream, and of the R that a tile
// reads it makes less than half of the memory's speed. `at` is where in the tile the loop is.
template <int64_t size, size_t R>
[[gnu::always_inline]] inline void fetch_tile_ahead(const std::byte* const (&rows)[R], int64_t at) {
  const std::byte* const from = rows[0] + 2 * static_cast<int64_t>(R) * (rows[1] - rows[0]) + at;
  DIPTYCH_UNROLL for (int64_t i = 0; i < size; i += kCacheLine) __builtin_prefetch(from + i, 0, 2);
}

template <DType type>
constexpr int64_t bytes_of_columns(int64_t columns) {
  return type == DType::Int4 ? columns / 2 : columns;
}
inline int64_t row_bytes(const LinearWeight& weight) {
  return weight.dtype == DType::Int4 ? bytes_of_columns<DType::Int4>(weight.columns)
                                     : bytes_of_columns<DType::Int8>(weight.columns);
}
inline int64_t scale_width(const LinearWeight& weight) {
  return weight.scale_dtype == DType::F16 ? 2 : 4;
}

constexpr int64_t bytes_of_indices(int bits, int64_t columns) { return columns * bits / 8; }
inline int64_t row_bytes(const PaletteWeight& weight) {
  return bytes_of_indices(weight.bits, weight.columns);
}
inline const int8_t* codes_of(const PaletteWeight& weight, int64_t row) {
  return weight.codes + (row / weight.rows_per_table << weight.bits);
}

// With one row of x, fetches a line of each of R rows of a tile, ahead of byte `at`: what follows a
// row's end is the next tile's row.
template <int R>
[[gnu::always_inline]] inline void fetch_ahead(const std::byte* const (&rows)[R], int64_t at,
                                               int64_t row_bytes) {
  const int64_t next = at + kPrefetchBytes / R;
  const int64_t ahead = next < row_bytes ? next : next + (R - 1) * row_bytes;
  DIPTYCH_UNROLL for (int r = 0; r < R; ++r) __builtin_prefetch(rows[r] + ahead);
}

// With several rows of x, longer rows are worked off in parts, so that a tile's part of x is no
// larger than the first level of cache; between parts a block's sums are kept in memory.
//
// Part [first, last) of the sums of a tile: of chunks, or of float columns. `sums` is where a
// tile's sums come from, but for the first part, and go to, but for the last.
struct Part {
  int64_t first, last;
  float* sums;
};

// How many of `left` rows of x the next tile takes: all tiles but the last are as large as
// possible, and the last two share what is left.
template <int64_t kMax>
int64_t tile_size(int64_t left) {
  if (left <= kMax) return left;
  return left < 2 * kMax ? (left + 1) / 2 : kMax;
}

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

}  // namespace
}  // namespace diptych::kernels
