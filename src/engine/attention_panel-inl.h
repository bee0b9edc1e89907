// A block as floats that many queries share. Keys become a panel: transposed, so that a vector
// holds one element of many columns, and a score needs no sum across lanes. Narrower vectors than
// those of AVX-512 have few lanes to sum, and fewer registers; they multiply keys where they lie.
// Included by files that are compiled once per instruction set (Highway), after hwy/highway.h.
#if defined(DIPTYCH_ENGINE_ATTENTION_PANEL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DIPTYCH_ENGINE_ATTENTION_PANEL_INL_H
#undef DIPTYCH_ENGINE_ATTENTION_PANEL_INL_H
#else
#define DIPTYCH_ENGINE_ATTENTION_PANEL_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/attention_products-inl.h"
#include "engine/attention_scratch.h"

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {

#if HWY_MAX_BYTES == 64
constexpr int64_t kPanelLanes = 16;

// [head_dim, zeros up to whole vectors][kAttentionBlock]; what stands behind the columns that were
// asked for is of no meaning.
struct KeyPanel {
  const float* data;
  int64_t head_dim;
};

// Element i of four columns for each lane i of what they were loaded as, side by side.
HWY_INLINE void store_transposed(const V32* columns, float* to) {
  const F32 d;
  const V32 low02 = hn::InterleaveLower(d, columns[0], columns[2]);
  const V32 high02 = hn::InterleaveUpper(d, columns[0], columns[2]);
  const V32 low13 = hn::InterleaveLower(d, columns[1], columns[3]);
  const V32 high13 = hn::InterleaveUpper(d, columns[1], columns[3]);
  // Element 4 b + t is the 128 bits b of vector t.
  const V32 fours[] = {hn::InterleaveLower(d, low02, low13), hn::InterleaveUpper(d, low02, low13),
                       hn::InterleaveLower(d, high02, high13),
                       hn::InterleaveUpper(d, high02, high13)};
  alignas(64) float lanes[4][kPanelLanes];
  for (int t = 0; t < 4; ++t) hn::Store(fours[t], d, lanes[t]);
  for (int64_t i = 0; i < kPanelLanes; ++i) {
    std::memcpy(to + i * kAttentionBlock, lanes[i % 4] + i / 4 * 4, 4 * sizeof(float));
  }
}

// Makes a panel of a block's first n columns at `to`, which has room for a padded head.
template <class Element>
KeyPanel make_panel(Columns keys, int64_t n, Fetch* fetch, float* to) {
  const int64_t dim = keys.head_dim;
  constexpr auto kSize = static_cast<int64_t>(Element::kSize);
  for (int64_t j = 0; j < n; j += 4) {
    fetch->some(4 * dim * kSize);
    const std::byte* at[4];
    for (int64_t c = 0; c < 4; ++c) at[c] = keys.data + std::min(j + c, n - 1) * dim * kSize;
    V32 columns[4];
    int64_t i = 0;
    for (; i + kPanelLanes <= dim; i += kPanelLanes) {
      for (int c = 0; c < 4; ++c) columns[c] = Element::load(at[c] + i * kSize);
      store_transposed(columns, to + i * kAttentionBlock + j);
    }
    if (i < dim) {
      const auto rest = static_cast<size_t>(dim - i);
      for (int c = 0; c < 4; ++c) columns[c] = Element::load_some(at[c] + i * kSize, rest);
      store_transposed(columns, to + i * kAttentionBlock + j);
    }
  }
  return {to, dim};
}

// Adds up the products of every 16th element from `first` on, of the next three alike beside them,
// and these four sums: what multiply_keys() has in one sum's 128 bits number first / 4.
template <int kQueries>
HWY_INLINE void sum_four_lanes(const float* queries, const KeyPanel& keys, const float* columns,
                               int64_t first, V32* out) {
  const F32 d;
  const int64_t stride = padded(keys.head_dim);
  V32 sums[4][kQueries];
  for (auto& lane : sums) {
    for (V32& sum : lane) sum = hn::Zero(d);
  }
  for (int64_t i = first; i < first + keys.head_dim; i += kPanelLanes) {
    for (int lane = 0; lane < 4; ++lane) {
      const V32 key = hn::LoadU(d, columns + (i + lane) * kAttentionBlock);
      for (int q = 0; q < kQueries; ++q) {
        V32& sum = sums[lane][q];
        sum = hn::MulAdd(hn::Set(d, queries[q * stride + i + lane]), key, sum);
      }
    }
  }
  for (int q = 0; q < kQueries; ++q) {
    out[q] = hn::Add(hn::Add(sums[0][q], sums[2][q]), hn::Add(sums[1][q], sums[3][q]));
  }
}

// What multiply_keys() computes. Entries up to the next multiple of 16 of n are overwritten.
template <int kQueries>
void multiply_panel(const float* queries, const KeyPanel& keys, int64_t n, float* scores,
                    int64_t score_stride) {
  const F32 d;
  for (int64_t j = 0; j < n; j += kPanelLanes) {
    V32 fours[4][kQueries];
    for (int i = 0; i < 4; ++i) {
      sum_four_lanes<kQueries>(queries, keys, keys.data + j, 4 * i, fours[i]);
    }
    for (int q = 0; q < kQueries; ++q) {
      hn::StoreU(hn::Add(hn::Add(fours[0][q], fours[2][q]), hn::Add(fours[1][q], fours[3][q])), d,
                 scores + q * score_stride + j);
    }
  }
}

#endif  // vectors of 64 bytes

// A block's first n values, which are halves, as floats at `to`.
inline Columns widen_values(Columns values, int64_t n, Fetch* fetch, float* to) {
  const F32 d;
  const int64_t lanes = lane_count(), count = n * values.head_dim;
  constexpr auto kSize = static_cast<int64_t>(PackedHalves::kSize);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    if (i % 128 == 0) fetch->some(128 * kSize);
    hn::StoreU(PackedHalves::load(values.data + i * kSize), d, to + i);
  }
  if (i < count) {
    const auto rest = static_cast<size_t>(count - i);
    hn::StoreU(PackedHalves::load_some(values.data + i * kSize, rest), d, to + i);
  }
  return {reinterpret_cast<const std::byte*>(to), values.head_dim};
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled include guard
