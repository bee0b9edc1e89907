// The products of attention with keys and values where they lie: of some queries with the keys of a
// block, along the head, and of weights with its values, column by column. Included by files that
// are compiled once per instruction set (Highway), after hwy/highway.h.
#if defined(DIPTYCH_ENGINE_ATTENTION_PRODUCTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef DIPTYCH_ENGINE_ATTENTION_PRODUCTS_INL_H
#undef DIPTYCH_ENGINE_ATTENTION_PRODUCTS_INL_H
#else
#define DIPTYCH_ENGINE_ATTENTION_PRODUCTS_INL_H
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "engine/attention_scratch.h"
#include "engine/halves-inl.h"

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {

int64_t lane_count() { return static_cast<int64_t>(hn::Lanes(F32())); }

// A block's keys or values of one head.
struct Columns {
  const std::byte* data;
  int64_t head_dim;
};

// Columns of values after which more is fetched.
constexpr int64_t kFetchColumns = 16;

// Brings what is read next to the nearest cache while a block is computed: with every step about as
// much as that step reads. A core has room for some 20 requests, and waits for memory when it asks
// for more at once, or for nothing. Places are numbers, since nothing is read there.
class Fetch {
 public:
  // Nothing.
  Fetch() = default;
  explicit Fetch(Bytes next)
      : at_(reinterpret_cast<uintptr_t>(next.data())), end_(at_ + next.size()) {}

  // The next `bytes` or a few more.
  void some(int64_t bytes) {
    const uintptr_t stop = std::min(at_ + static_cast<uintptr_t>(bytes), end_);
    for (; at_ < stop; at_ += kLines * kLine) {
      for (uintptr_t i = 0; i < kLines; ++i) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr)
        hwy::Prefetch(reinterpret_cast<const std::byte*>(at_ + i * kLine));
      }
    }
  }

 private:
  static constexpr uintptr_t kLine = 64, kLines = 4;
  uintptr_t at_ = 0, end_ = 0;
};

// out[i] = the sum of the lanes of v[i], for eight vectors; all are summed in one order.
HWY_INLINE void sums_of_lanes(const V32* v, float* out) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 8; ++i) out[i] = hn::GetLane(v[i]);
#else
  const F32 d;
  const hn::RepartitionToWide<hn::RebindToUnsigned<F32> > d64;
  // Lanes 0 and 2, 1 and 3 of each 128 bits of a, and those of b between them.
  const auto pair = [&](V32 a, V32 b) HWY_ATTR {
    return hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b));
  };
  // Each 128 bits hold what theirs in a, b, c and e sum up to.
  const auto quad = [&](V32 a, V32 b, V32 c, V32 e) HWY_ATTR {
    const auto ab = hn::BitCast(d64, pair(a, b)), ce = hn::BitCast(d64, pair(c, e));
    return hn::Add(hn::BitCast(d, hn::InterleaveLower(d64, ab, ce)),
                   hn::BitCast(d, hn::InterleaveUpper(d64, ab, ce)));
  };
  const V32 low = quad(v[0], v[1], v[2], v[3]), high = quad(v[4], v[5], v[6], v[7]);
#if HWY_MAX_BYTES == 16
  hn::StoreU(low, d, out);
  hn::StoreU(high, d, out + 4);
#else
  V32 both = hn::Add(hn::ConcatLowerLower(d, high, low), hn::ConcatUpperUpper(d, high, low));
#if HWY_MAX_BYTES == 32
  hn::StoreU(both, d, out);
#else
  const hn::Half<F32> dh;
  const auto lower = hn::LowerHalf(dh, both), upper = hn::UpperHalf(dh, both);
  hn::StoreU(
      hn::Add(hn::ConcatLowerLower(dh, upper, lower), hn::ConcatUpperUpper(dh, upper, lower)), dh,
      out);
#endif
#endif
#endif
}

// The products of kQueries queries with the first n columns of a block: scores[i * score_stride +
// j] for query i and column j. Entries up to the next multiple of 8 of n are overwritten.
template <class Element, int kQueries>
void multiply_keys(const float* queries, Columns keys, int64_t n, float* scores,
                   int64_t score_stride, Fetch* fetch) {
  constexpr int kTogether = 8 / kQueries;  // eight accumulators hide the latency of adding
  const F32 d;
  const int64_t lanes = lane_count(), dim = keys.head_dim, stride = padded(dim);
  const int64_t column_bytes = dim * static_cast<int64_t>(Element::kSize);
  const auto rest = static_cast<size_t>(dim % lanes);
  for (int64_t j = 0; j < n; j += kTogether) {
    const std::byte* at[kTogether];
    for (int c = 0; c < kTogether; ++c) {
      at[c] = keys.data + std::min(j + c, n - 1) * column_bytes;
    }
    if (fetch != nullptr) fetch->some(kTogether * column_bytes);
    V32 sums[8];
    for (int i = 0; i < 8; ++i) sums[i] = hn::Zero(d);
    const auto add = [&](int64_t i, auto load) HWY_ATTR {
      V32 key[kTogether];
      for (int c = 0; c < kTogether; ++c) {
        key[c] = load(at[c] + i * static_cast<int64_t>(Element::kSize));
      }
      for (int q = 0; q < kQueries; ++q) {
        const V32 query = hn::LoadU(d, queries + q * stride + i);
        for (int c = 0; c < kTogether; ++c) {
          V32& sum = sums[q * kTogether + c];
          sum = hn::MulAdd(query, key[c], sum);
        }
      }
    };
    int64_t i = 0;
    for (; i + lanes <= dim; i += lanes) {
      add(i, [](const std::byte* from) HWY_ATTR { return Element::load(from); });
    }
    if (rest != 0) {
      add(i, [&](const std::byte* from) HWY_ATTR { return Element::load_some(from, rest); });
    }
    float eight[8];
    sums_of_lanes(sums, eight);
    for (int64_t q = 0; q < kQueries; ++q) {
      std::copy_n(eight + q * kTogether, kTogether, scores + q * score_stride + j);
    }
  }
}

// The columns [begin, end) of a block with their weights, p[i * p_stride + column] for query i.
struct Weighted {
  Columns values;
  int64_t begin, end;
  const float* p;
  int64_t p_stride;
  Fetch* fetch;
};

// Adds the weighted values to the sums, column by column, of kQueries queries and kVectors vectors
// of elements from `first` on; `load` gives those of a column.
template <class Element, int kQueries, int kVectors, class Load>
HWY_INLINE void add_vectors(const Weighted& w, int64_t first, Load load, float* sums) {
  const F32 d;
  const int64_t lanes = lane_count(), stride = padded(w.values.head_dim);
  constexpr auto kSize = static_cast<int64_t>(Element::kSize);
  V32 sum[kQueries * kVectors];
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) {
      sum[q * kVectors + v] = hn::LoadU(d, sums + q * stride + first + v * lanes);
    }
  }
  const int64_t step = w.values.head_dim * kSize;
  const std::byte* at = w.values.data + w.begin * step + first * kSize;
  for (int64_t j = w.begin; j < w.end;) {
    const int64_t stop = std::min(j + kFetchColumns, w.end);
    if (w.fetch != nullptr) w.fetch->some(kFetchColumns * kVectors * lanes * kSize);
    for (; j < stop; ++j, at += step) {
      V32 value[kVectors];
      for (int v = 0; v < kVectors; ++v) value[v] = load(at + v * lanes * kSize);
      for (int q = 0; q < kQueries; ++q) {
        const V32 weight = hn::Set(d, w.p[q * w.p_stride + j]);
        for (int v = 0; v < kVectors; ++v) {
          V32& to = sum[q * kVectors + v];
          to = hn::MulAdd(weight, value[v], to);
        }
      }
    }
  }
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sum[q * kVectors + v], d, sums + q * stride + first + v * lanes);
    }
  }
}

template <class Element, int kQueries, int kVectors = 8 / kQueries>
void add_values(const Weighted& w, int64_t first, float* sums) {
  const int64_t lanes = lane_count(), dim = w.values.head_dim;
  for (; first + kVectors * lanes <= dim; first += kVectors * lanes) {
    add_vectors<Element, kQueries, kVectors>(
        w, first, [](const std::byte* from) HWY_ATTR { return Element::load(from); }, sums);
  }
  if constexpr (kVectors > 1) {
    add_values<Element, kQueries, kVectors / 2>(w, first, sums);
  } else if (first < dim) {
    const auto some = static_cast<size_t>(dim - first);
    add_vectors<Element, kQueries, 1>(
        w, first, [&](const std::byte* from) HWY_ATTR { return Element::load_some(from, some); },
        sums);
  }
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // toggled include guard
