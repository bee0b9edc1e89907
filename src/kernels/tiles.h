// What the loops over tiles share, of integer and of float weights. Included by each variant's
// file, to be compiled for its instruction set; hence the unnamed namespace.
#pragma once

#include "kernels/variant.h"

// Before a loop of few, constant turns over arrays that are to stay in registers.
#define DIPTYCH_UNROLL _Pragma("GCC unroll 16")

namespace diptych::kernels {
namespace {

constexpr int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t quotient_rounded_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

constexpr int64_t kPrefetchBytes = 4096;  // ahead in a row of the weight, with one row of x

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
