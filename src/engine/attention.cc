#include "engine/attention.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/bytes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/attention.cc"
// clang-format off
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
// After the two above, which they rely on.
#include <hwy/cache_control.h>
#include <hwy/contrib/math/math-inl.h>
#include "engine/halves-inl.h"
// clang-format on

#ifndef DIPTYCH_ENGINE_ATTENTION_ONCE
#define DIPTYCH_ENGINE_ATTENTION_ONCE
namespace diptych::engine {

// Queries of one key head that are computed together, so that a block of its keys and values stays
// in the nearest cache for all of them; and those whose dot products share what is loaded.
inline constexpr int64_t kItemQueries = 64;
inline constexpr int64_t kTile = 4;
// Queries and sums are padded with zeros to whole vectors of every instruction set.
inline constexpr int64_t kPadding = 16;

inline int64_t padded(int64_t head_dim) { return (head_dim + kPadding - 1) / kPadding * kPadding; }

// Scratch of a thread, for the queries of an item: these and the sums of their values, padded; the
// largest score so far, the sums of exponentials in lanes. Of a tile: the scores of a block.
struct AttentionScratch {
  float *queries, *sums, *largest, *totals, *scores;

  // Carves `memory` up, from its first aligned float on; returns the number of floats needed, at
  // most kPadding more than when it is null.
  static size_t layout(int64_t head_dim, float* memory, AttentionScratch* out) {
    constexpr size_t kAlignment = kPadding * sizeof(float);
    const auto dim = static_cast<size_t>(padded(head_dim));
    // Multiples of the alignment.
    const size_t sizes[] = {kItemQueries * dim, kItemQueries * dim, kItemQueries,
                            kItemQueries * kPadding, kTile * kAttentionBlock};
    float** const parts[] = {&out->queries, &out->sums, &out->largest, &out->totals, &out->scores};
    const size_t beyond = reinterpret_cast<uintptr_t>(memory) % kAlignment / sizeof(float);
    size_t used = (kPadding - beyond) % kPadding;
    for (size_t i = 0; i < std::size(sizes); used += sizes[i++]) {
      *parts[i] = memory == nullptr ? nullptr : memory + used;
    }
    return used;
  }
};

}  // namespace diptych::engine
#endif

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

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
  // All of the keys, then of the values.
  Fetch(Bytes keys, Bytes values)
      : at_(address(keys)),
        end_(at_ + keys.size()),
        values_(address(values)),
        values_end_(values_ + values.size()) {}

  // The next `bytes` or a few more.
  void some(int64_t bytes) {
    const uintptr_t stop = std::min(at_ + static_cast<uintptr_t>(bytes), end_);
    for (; at_ < stop; at_ += kLines * kLine) {
      for (uintptr_t i = 0; i < kLines; ++i) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr)
        hwy::Prefetch(reinterpret_cast<const std::byte*>(at_ + i * kLine));
      }
    }
    if (at_ >= end_) {
      at_ = values_;
      end_ = values_ = values_end_;
    }
  }

 private:
  static constexpr uintptr_t kLine = 64, kLines = 4;
  static uintptr_t address(Bytes bytes) { return reinterpret_cast<uintptr_t>(bytes.data()); }
  uintptr_t at_ = 0, end_ = 0, values_ = 0, values_end_ = 0;
};

// A row of a mask, from a block's first column on.
struct MaskRow {
  const std::byte* data;
  bool half;

  V32 load(int64_t first, int64_t count) const {
    const std::byte* at = data + first * (half ? 2 : 4);
    if (count < lane_count()) {
      const auto some = static_cast<size_t>(count);
      return half ? PackedHalves::load_some(at, some) : PackedFloats::load_some(at, some);
    }
    return half ? PackedHalves::load(at) : PackedFloats::load(at);
  }
  bool hides(int64_t column) const {
    const std::byte* at = data + column * (half ? 2 : 4);
    return hn::GetLane(half ? PackedHalves::load_some(at, 1) : PackedFloats::load_some(at, 1)) ==
           -kInfinity;
  }
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

// The products of kQueries queries with the first n columns: scores[i * kAttentionBlock + j] for
// query i and column j. Entries up to the next multiple of 8 of n are overwritten.
template <class Element, int kQueries>
void multiply_keys(const float* queries, Columns keys, int64_t n, float* scores, Fetch* fetch) {
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
      std::copy_n(eight + q * kTogether, kTogether, scores + q * kAttentionBlock + j);
    }
  }
}

// Brings a row's maximum and total up to date with a block's first n columns, whose scores become
// exponentials. `mask` is null where it is 0. Returns what the sums so far are to be multiplied by.
float add_scores(float* scores, int64_t n, float scale, const MaskRow* mask, float* largest,
                 float* totals) {
  const F32 d;
  const int64_t lanes = lane_count();
  const V32 hidden = hn::Set(d, -kInfinity);
  V32 maximum = hidden;
  auto nan = hn::IsNaN(maximum);
  for (int64_t i = 0; i < n; i += lanes) {
    V32 score = hn::Mul(hn::LoadU(d, scores + i), hn::Set(d, scale));
    if (mask != nullptr) {
      const V32 penalty = mask->load(i, n - i);
      score = hn::IfThenElse(hn::Eq(penalty, hidden), hidden, hn::Add(score, penalty));
    }
    if (i + lanes > n) {
      score = hn::IfThenElse(hn::FirstN(d, static_cast<size_t>(n - i)), score, hidden);
    }
    hn::StoreU(score, d, scores + i);
    maximum = hn::Max(maximum, score);
    nan = hn::Or(nan, hn::IsNaN(score));
  }
  const float before = *largest;
  float now = std::max(before, hn::GetLane(hn::MaxOfLanes(d, maximum)));
  if (!hn::AllFalse(d, nan)) now = std::numeric_limits<float>::quiet_NaN();
  *largest = now;
  // Once a row has met NaN, its sums are NaN.
  const float shrink = before == now ? 1.0f : std::exp(before - now);
  V32 total = hn::Mul(hn::LoadU(d, totals), hn::Set(d, shrink));
  for (int64_t i = 0; i < n; i += lanes) {
    const V32 shifted = hn::Sub(hn::LoadU(d, scores + i), hn::Set(d, now));
    // False for a score of -inf below a maximum of -inf.
    const auto counts = hn::Ge(shifted, hn::Set(d, -100.0f));
    const V32 p = hn::IfThenElseZero(counts, hn::Exp(d, shifted));
    hn::StoreU(p, d, scores + i);
    total = hn::Add(total, p);
  }
  hn::StoreU(total, d, totals);
  return shrink;
}

// The columns [begin, end) of a block with their weights, p[i * kAttentionBlock + column] for query
// i, and what the sums are multiplied by before.
struct Weighted {
  Columns values;
  int64_t begin, end;
  const float *p, *shrink;
  Fetch* fetch;
};

// sums = sums * shrink + the weighted values, of kQueries queries and kVectors vectors of elements
// from `first` on; `load` gives those of a column.
template <class Element, int kQueries, int kVectors, class Load>
HWY_INLINE void add_vectors(const Weighted& w, int64_t first, Load load, float* sums) {
  const F32 d;
  const int64_t lanes = lane_count(), stride = padded(w.values.head_dim);
  constexpr auto kSize = static_cast<int64_t>(Element::kSize);
  V32 sum[kQueries * kVectors];
  for (int q = 0; q < kQueries; ++q) {
    for (int v = 0; v < kVectors; ++v) {
      sum[q * kVectors + v] =
          hn::Mul(hn::LoadU(d, sums + q * stride + first + v * lanes), hn::Set(d, w.shrink[q]));
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
        const V32 weight = hn::Set(d, w.p[q * kAttentionBlock + j]);
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

// A block of columns of one item.
struct Block {
  Columns keys, values;
  bool half_keys, half_values;
  float scale;
  Fetch* fetch;  // what comes after it; null: nothing
};

// A query's part in a block.
struct Look {
  uint8_t visible;  // visible_columns.h
  MaskRow mask;

  int64_t count() const { return visible & kVisibleCount; }
  bool plain() const { return (visible & kVisiblePlain) != 0 || visible == 0; }
};

// Calls body(begin, end) for each run of columns that a look shows.
template <class Body>
void for_runs(const Look& look, int64_t from, Body body) {
  const int64_t n = look.count();
  if (look.plain()) {
    if (from < n) body(from, n);
    return;
  }
  for (int64_t begin = from; begin < n;) {
    if (look.mask.hides(begin)) {
      ++begin;
      continue;
    }
    int64_t end = begin + 1;
    while (end < n && !look.mask.hides(end)) ++end;
    body(begin, end);
    begin = end;
  }
}

template <class Element, int kQueries>
void add_block_values(const Columns& values, const Look* looks, const float* p, const float* shrink,
                      float* sums, Fetch* fetch) {
  const int64_t stride = padded(values.head_dim);
  // What all see alike, then what is left of each.
  int64_t common = 0;
  if (std::all_of(looks, looks + kQueries, [](const Look& look) { return look.plain(); })) {
    common = looks[0].count();
    for (int q = 1; q < kQueries; ++q) common = std::min(common, looks[q].count());
  }
  add_values<Element, kQueries>({values, 0, common, p, shrink, fetch}, 0, sums);
  const float kept = 1;
  for (int q = 0; q < kQueries; ++q) {
    for_runs(looks[q], common, [&](int64_t begin, int64_t end) {
      add_values<Element, 1>({values, begin, end, p + q * kAttentionBlock, &kept, fetch}, 0,
                             sums + q * stride);
    });
  }
}

// Brings kQueries queries from `first` on up to date with a block.
template <int kQueries>
void add_block(const Block& block, const Look* looks, int64_t first,
               const AttentionScratch& scratch) {
  const int64_t dim = padded(block.keys.head_dim);
  int64_t n = 0;
  for (int q = 0; q < kQueries; ++q) n = std::max(n, looks[q].count());
  if (n == 0) return;
  const float* queries = scratch.queries + first * dim;
  if (block.half_keys) {
    multiply_keys<PackedHalves, kQueries>(queries, block.keys, n, scratch.scores, block.fetch);
  } else {
    multiply_keys<PackedFloats, kQueries>(queries, block.keys, n, scratch.scores, block.fetch);
  }
  float shrink[kQueries];
  const int64_t row_bytes = block.keys.head_dim * (block.half_keys ? 2 : 4);
  for (int q = 0; q < kQueries; ++q) {
    if (block.fetch != nullptr) block.fetch->some(n * row_bytes / 4 / kQueries);
    shrink[q] = add_scores(scratch.scores + q * kAttentionBlock, looks[q].count(), block.scale,
                           looks[q].plain() ? nullptr : &looks[q].mask, scratch.largest + first + q,
                           scratch.totals + (first + q) * kPadding);
  }
  float* sums = scratch.sums + first * dim;
  if (block.half_values) {
    add_block_values<PackedHalves, kQueries>(block.values, looks, scratch.scores, shrink, sums,
                                             block.fetch);
  } else {
    add_block_values<PackedFloats, kQueries>(block.values, looks, scratch.scores, shrink, sums,
                                             block.fetch);
  }
}

// The queries of an item. Query i is row i / group of head i % group of those that share the keys:
// those that see the same come together.
class Item {
 public:
  Item(const AttentionArguments& arguments, int64_t item_queries, int64_t item, float* memory)
      : a_(arguments), group_(arguments.shape.heads / arguments.shape.kv_heads) {
    const int64_t queries = group_ * a_.shape.rows;
    const int64_t per_head = (queries + item_queries - 1) / item_queries;
    kv_head_ = item / per_head;
    first_ = item % per_head * item_queries;
    count_ = std::min(item_queries, queries - first_);
    AttentionScratch::layout(a_.shape.head_dim, memory, &scratch_);
  }

  void compute() const {
    start();
    const AttentionColumns& columns = a_.shape.columns;
    int64_t number = 0, offset = 0;
    for (int part = 0; part < 2; offset += columns.parts[part++]) {
      for (int64_t begin = 0; begin < columns.parts[part]; begin += kAttentionBlock, ++number) {
        Fetch fetch = after(part, begin, number);
        Block block{columns_at(a_.k[part], part, begin),
                    columns_at(a_.v[part], part, begin),
                    a_.k[part].half,
                    a_.v[part].half,
                    a_.shape.scale,
                    &fetch};
        // The first tile reads the block from memory, the others find it in a cache.
        for (int64_t i = 0; i < count_; block.fetch = nullptr) {
          i += add_some(block, number, offset + begin, i);
        }
      }
    }
    finish();
  }

 private:
  int64_t row_of(int64_t i) const { return (first_ + i) / group_; }
  int64_t head_of(int64_t i) const { return kv_head_ * group_ + (first_ + i) % group_; }

  Columns columns_at(const AttentionSource& source, int part, int64_t begin) const {
    const int64_t column = kv_head_ * a_.shape.columns.parts[part] + begin;
    return {source.data + column * a_.shape.head_dim * source.width(), a_.shape.head_dim};
  }

  // What is read after block `number`, which begins at column `begin` of a part: what the first row
  // sees of the next block, or else of the next head's first.
  Fetch after(int part, int64_t begin, int64_t number) const {
    const AttentionColumns& columns = a_.shape.columns;
    const uint8_t* visible = a_.visible + row_of(0) * columns.blocks();
    begin += kAttentionBlock;
    ++number;
    if (begin >= columns.parts[part] || visible[number] == 0) {
      if (kv_head_ + 1 == a_.shape.kv_heads || part != 0) return {};
      begin = columns.parts[0];
      number = 0;
    }
    const int64_t count = visible[number] & kVisibleCount;
    const auto bytes = [&](const AttentionSource& source) {
      const Columns next = columns_at(source, part, begin);
      return Bytes(next.data, static_cast<size_t>(count * next.head_dim * source.width()));
    };
    return {bytes(a_.k[part]), bytes(a_.v[part])};
  }

  // As many queries from i on as make up the largest tile; returns their number.
  int64_t add_some(const Block& block, int64_t number, int64_t offset, int64_t i) const {
    if (i + 4 <= count_) return add_tile<4>(block, number, offset, i), 4;
    if (i + 2 <= count_) return add_tile<2>(block, number, offset, i), 2;
    return add_tile<1>(block, number, offset, i), 1;
  }

  // Block `number`, from column `offset` of the mask on, for queries [i, i + kQueries).
  template <int kQueries>
  void add_tile(const Block& block, int64_t number, int64_t offset, int64_t i) const {
    const AttentionColumns& columns = a_.shape.columns;
    Look looks[kQueries];
    for (int q = 0; q < kQueries; ++q) {
      const int64_t row = row_of(i + q);
      looks[q] = {
          a_.visible[row * columns.blocks() + number],
          {a_.mask.data + (row * columns.count() + offset) * a_.mask.width(), a_.mask.half}};
    }
    add_block<kQueries>(block, looks, i, scratch_);
  }

  void start() const {
    const int64_t dim = padded(a_.shape.head_dim);
    for (int64_t i = 0; i < count_; ++i) {
      const float* q = a_.q + head_of(i) * a_.q_stride + row_of(i) * a_.shape.head_dim;
      float* to = scratch_.queries + i * dim;
      std::copy_n(q, a_.shape.head_dim, to);
      std::fill(to + a_.shape.head_dim, to + dim, 0.0f);
    }
    std::fill_n(scratch_.sums, count_ * dim, 0.0f);
    std::fill_n(scratch_.largest, count_, -kInfinity);
    std::fill_n(scratch_.totals, count_ * kPadding, 0.0f);
  }

  void finish() const {
    const F32 d;
    for (int64_t i = 0; i < count_; ++i) {
      float* out = a_.out + (row_of(i) * a_.shape.heads + head_of(i)) * a_.shape.head_dim;
      const float* sums = scratch_.sums + i * padded(a_.shape.head_dim);
      const float total =
          hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, scratch_.totals + i * kPadding)));
      for (int64_t j = 0; j < a_.shape.head_dim; ++j) out[j] = sums[j] / total;
    }
  }

  const AttentionArguments& a_;
  int64_t group_, kv_head_, first_, count_;
  AttentionScratch scratch_;
};

void attention(const AttentionArguments& arguments, int64_t item_queries, int64_t begin,
               int64_t end, float* scratch) {
#if HWY_ARCH_X86 && HWY_TARGET < HWY_AVX2 && HWY_STATIC_TARGET > HWY_AVX2 && \
    (HWY_TARGETS & HWY_AVX2)
  // Heads that leave 16 lanes half empty are computed faster by 8. (AVX2 is compiled before.)
  if (arguments.shape.head_dim % 16 != 0) {
    return N_AVX2::attention(arguments, item_queries, begin, end, scratch);
  }
#endif
  for (int64_t i = begin; i < end; ++i) Item(arguments, item_queries, i, scratch).compute();
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::engine {

HWY_EXPORT(attention);

int64_t attention_item_queries(const AttentionShape& shape, int threads) {
  int64_t queries = kItemQueries;
  while (queries > kTile && attention_items(shape, queries) < int64_t{2} * threads) queries /= 2;
  return queries;
}

int64_t attention_items(const AttentionShape& shape, int64_t item_queries) {
  const int64_t queries = shape.heads / shape.kv_heads * shape.rows;
  return shape.kv_heads * ((queries + item_queries - 1) / item_queries);
}

size_t attention_scratch(const AttentionShape& shape) {
  AttentionScratch scratch;
  return AttentionScratch::layout(shape.head_dim, nullptr, &scratch) + kPadding;
}

void attention(const AttentionArguments& arguments, int64_t item_queries, int64_t begin,
               int64_t end, float* scratch) {
  HWY_DYNAMIC_DISPATCH(attention)(arguments, item_queries, begin, end, scratch);
}

}  // namespace diptych::engine
#endif
