// How much attention computes at a time, and what a thread keeps of it. Private to attention.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "engine/visible_columns.h"

namespace diptych::engine {

// Queries of one key head that are computed together, so that a block of its keys and values stays
// in the nearest cache for all of them; and those whose dot products share what is loaded.
inline constexpr int64_t kItemQueries = 64;
inline constexpr int64_t kTile = 4;
// Queries of an item from which on a block's keys and values are made floats for all of them.
inline constexpr int64_t kSharedQueries = 16;
// Floats of scores that an item may have, so that they stay in the second level of cache: as many
// as fill half of it, within these bounds. Those of one tile are always allowed.
inline constexpr int64_t kLeastItemScores = 1 << 16, kMostItemScores = 1 << 17;
// Queries and sums are padded with zeros to whole vectors of every instruction set.
inline constexpr int64_t kPadding = 16;

inline int64_t padded(int64_t head_dim) { return (head_dim + kPadding - 1) / kPadding * kPadding; }

// Scratch of a thread, for the queries of an item: these and the sums of their values, padded; a
// block's keys or values as floats; the largest score and the sum of the exponentials; the scores,
// a block for each that the item sees.
struct AttentionScratch {
  float *queries, *sums, *block, *largest, *scores;
  double* totals;

  // Carves `memory` up, from its first aligned float on; returns the number of floats needed but
  // for `scores`, which come last, at most kPadding more than when it is null.
  static size_t layout(int64_t head_dim, float* memory, AttentionScratch* out) {
    constexpr size_t kAlignment = kPadding * sizeof(float);
    const auto dim = static_cast<size_t>(padded(head_dim));
    // Multiples of the alignment.
    const size_t sizes[] = {kItemQueries * dim, kItemQueries * dim, kAttentionBlock * dim,
                            kItemQueries, 2 * kItemQueries};
    float* totals = nullptr;
    float** const parts[] = {&out->queries, &out->sums, &out->block, &out->largest, &totals};
    const size_t beyond = reinterpret_cast<uintptr_t>(memory) % kAlignment / sizeof(float);
    size_t used = (kPadding - beyond) % kPadding;
    for (size_t i = 0; i < std::size(sizes); used += sizes[i++]) {
      *parts[i] = memory == nullptr ? nullptr : memory + used;
    }
    out->totals = reinterpret_cast<double*>(totals);
    out->scores = memory == nullptr ? nullptr : memory + used;
    return used;
  }
};

}  // namespace diptych::engine
