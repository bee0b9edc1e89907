#include "engine/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/bytes.h"
#include "engine/attention_scratch.h"

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

// A row of a mask, from a block's first column on.
struct MaskRow {
  const std::byte* data;
  bool half;
  float hidden_from;  // entries as low as this hide

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
    return hn::GetLane(half ? PackedHalves::load_some(at, 1) : PackedFloats::load_some(at, 1)) <=
           hidden_from;
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

// Scales a block's first n scores, caps them where there is a cap, and adds the mask, which is null
// where it is 0; returns the largest of these and of `largest`, NaN if there is one. Entries up to
// the next multiple of a vector are overwritten.
float finish_scores(float* scores, int64_t n, const AttentionShape& shape, const MaskRow* mask,
                    float largest) {
  const F32 d;
  const int64_t lanes = lane_count();
  const V32 hidden = hn::Set(d, -kInfinity);
  const V32 scale = hn::Set(d, shape.cap > 0 ? shape.scale / shape.cap : shape.scale);
  V32 maximum = hidden;
  auto nan = hn::IsNaN(maximum);
  for (int64_t i = 0; i < n; i += lanes) {
    V32 score = hn::Mul(hn::LoadU(d, scores + i), scale);
    if (shape.cap > 0) score = hn::Mul(hn::Tanh(d, score), hn::Set(d, shape.cap));
    if (mask != nullptr) {
      const V32 penalty = mask->load(i, n - i);
      const auto hides = hn::Le(penalty, hn::Set(d, mask->hidden_from));
      score = hn::IfThenElse(hides, hidden, hn::Add(score, penalty));
    }
    if (i + lanes > n) {
      score = hn::IfThenElse(hn::FirstN(d, static_cast<size_t>(n - i)), score, hidden);
    }
    hn::StoreU(score, d, scores + i);
    maximum = hn::Max(maximum, score);
    nan = hn::Or(nan, hn::IsNaN(score));
  }
  if (std::isnan(largest) || !hn::AllFalse(d, nan)) return std::numeric_limits<float>::quiet_NaN();
  return std::max(largest, hn::GetLane(hn::MaxOfLanes(d, maximum)));
}

// Turns a block's first n scores into exponentials and adds them up.
//
// The sum must not depend on how the columns are divided into blocks and lanes, since the same
// tokens lie in the cache for one row and beside it for another. So it is exact: of multiples of
// 2^-33, to which each exponential, none of which is above 1, is rounded for it. Doubles hold the
// sums of up to 2^20 of them.
double add_exponentials(float* scores, int64_t n, float largest) {
  const F32 d;
#if HWY_TARGET == HWY_SCALAR
  const F32 half;  // its one lane is all of it
#else
  const hn::Half<F32> half;
#endif
  const hn::Rebind<double, std::remove_const_t<decltype(half)> > wide;
  const int64_t lanes = lane_count();
  const auto to_grid = hn::Set(wide, 1.5 * (1 << 19));  // its neighbours are 2^-33 away
  auto low = hn::Zero(wide), high = hn::Zero(wide);
  for (int64_t i = 0; i < n; i += lanes) {
    const V32 shifted = hn::Sub(hn::LoadU(d, scores + i), hn::Set(d, largest));
    // False for a score of -inf below a maximum of -inf.
    const auto counts = hn::Ge(shifted, hn::Set(d, -100.0f));
    const V32 p = hn::IfThenElseZero(counts, hn::Exp(d, shifted));
    hn::StoreU(p, d, scores + i);
    const auto on_grid = [&](auto part) HWY_ATTR {
      return hn::Sub(hn::Add(hn::PromoteTo(wide, part), to_grid), to_grid);
    };
#if HWY_TARGET == HWY_SCALAR
    low = hn::Add(low, on_grid(p));
#else
    low = hn::Add(low, on_grid(hn::LowerHalf(half, p)));
    high = hn::Add(high, on_grid(hn::UpperHalf(half, p)));
#endif
  }
  return hn::GetLane(hn::SumOfLanes(wide, hn::Add(low, high)));
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

// A query's part in a block.
struct Look {
  Visible visible;
  MaskRow mask;
};

// Calls body(begin, end) for each run of columns that a look shows.
template <class Body>
void for_runs(const Look& look, int64_t from, Body body) {
  const int64_t n = look.visible.count;
  if (look.visible.plain) {
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
void add_block_values(const Columns& values, const Look* looks, const float* p, int64_t p_stride,
                      float* sums, Fetch* fetch) {
  const int64_t stride = padded(values.head_dim);
  // What all see alike, then what is left of each.
  int64_t common = 0;
  if (std::all_of(looks, looks + kQueries, [](const Look& look) { return look.visible.plain; })) {
    common = looks[0].visible.count;
    for (int q = 1; q < kQueries; ++q) common = std::min(common, looks[q].visible.count);
  }
  add_values<Element, kQueries>({values, 0, common, p, p_stride, fetch}, 0, sums);
  for (int q = 0; q < kQueries; ++q) {
    for_runs(looks[q], common, [&](int64_t begin, int64_t end) {
      add_values<Element, 1>({values, begin, end, p + q * p_stride, p_stride, fetch}, 0,
                             sums + q * stride);
    });
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
    for_blocks([&](const Block&) { score_stride_ += kAttentionBlock; });
  }

  void compute() const {
    start();
    for_tiles(a_.k, [&](auto queries, const Tile& tile, Columns keys, bool half) HWY_ATTR {
      half ? look_at<PackedHalves, queries()>(tile, keys)
           : look_at<PackedFloats, queries()>(tile, keys);
    });
    for_tiles(a_.v, [&](auto queries, const Tile& tile, Columns values, bool half) HWY_ATTR {
      half ? take<PackedHalves, queries()>(tile, values)
           : take<PackedFloats, queries()>(tile, values);
    });
    finish();
  }

 private:
  // A block of columns that at least one row of the item sees.
  struct Block {
    int part;
    int64_t begin;   // its first column, of the part
    int64_t number;  // of all blocks
    int64_t offset;  // its first column, of the mask
  };
  // What some queries from `first` on have to do with a block.
  struct Tile {
    const Look* looks;
    int64_t first;
    float* scores;  // of the block and the first of them
    Fetch* fetch;   // what comes after the block; null: nothing
  };

  int64_t row_of(int64_t i) const { return (first_ + i) / group_; }
  int64_t head_of(int64_t i) const { return kv_head_ * group_ + (first_ + i) % group_; }

  template <class Body>
  void for_blocks(Body body) const {
    const AttentionColumns& columns = a_.shape.columns;
    Block block{0, 0, 0, 0};
    for (; block.part < 2; ++block.part) {
      const int64_t size = columns.parts[block.part];
      for (block.begin = 0; block.begin < size; block.begin += kAttentionBlock, ++block.number) {
        block.offset = block.part * columns.parts[0] + block.begin;
        const uint8_t* visible = a_.visible + block.number;
        int64_t row = row_of(0);
        const int64_t last = row_of(count_ - 1);
        while (row <= last && visible[row * columns.blocks()] == 0) ++row;
        if (row <= last) body(block);
      }
    }
  }

  // Calls body(kQueries, tile, columns of `source`, whether they are halves) for every block and
  // all queries in tiles. The first tile reads the block from memory, the others find it in a
  // cache.
  template <class Body>
  void for_tiles(const AttentionSource* source, Body body) const {
    float* scores = scratch_.scores;
    for_blocks([&](const Block& block) HWY_ATTR {
      Fetch fetch = after(source, block);
      const Columns columns = columns_at(source[block.part], block.part, kv_head_, block.begin);
      Look looks[kTile];
      Tile tile{looks, 0, scores, &fetch};
      const auto tile_of = [&](auto queries) HWY_ATTR {
        for (int q = 0; q < queries(); ++q) looks[q] = look_of(tile.first + q, block);
        body(queries, tile, columns, source[block.part].half);
        tile.first += queries();
        tile.scores += queries() * score_stride_;
        tile.fetch = nullptr;
      };
      while (tile.first + 4 <= count_) tile_of(std::integral_constant<int, 4>());
      if (tile.first + 2 <= count_) tile_of(std::integral_constant<int, 2>());
      if (tile.first < count_) tile_of(std::integral_constant<int, 1>());
      scores += kAttentionBlock;
    });
  }

  Look look_of(int64_t query, const Block& block) const {
    const AttentionColumns& columns = a_.shape.columns;
    const int64_t row = row_of(query);
    const Visible visible = Visible::of(a_.visible[row * columns.blocks() + block.number]);
    return {visible,
            {a_.mask.data + (row * columns.count() + block.offset) * a_.mask.width(), a_.mask.half,
             hidden_from(visible.hiding)}};
  }

  Columns columns_at(const AttentionSource& source, int part, int64_t head, int64_t begin) const {
    const int64_t column = head * a_.shape.columns.parts[part] + begin;
    return {source.data + column * a_.shape.head_dim * source.width(), a_.shape.head_dim};
  }

  // What is read after a block of keys or values, by what the first row sees: the next block, or
  // after all keys the first values, after all values the next head's first keys.
  Fetch after(const AttentionSource* source, const Block& block) const {
    const AttentionColumns& columns = a_.shape.columns;
    const uint8_t* visible = a_.visible + row_of(0) * columns.blocks();
    const auto bytes = [&](const AttentionSource* from, int part, int64_t head, int64_t begin,
                           int64_t number) {
      const Columns next = columns_at(from[part], part, head, begin);
      const int64_t count = Visible::count_of(visible[number]);
      return Fetch(
          Bytes(next.data, static_cast<size_t>(count * next.head_dim * from[part].width())));
    };
    const int64_t begin = block.begin + kAttentionBlock, number = block.number + 1;
    if (begin < columns.parts[block.part] && visible[number] != 0) {
      return bytes(source, block.part, kv_head_, begin, number);
    }
    if (block.part == 0 && columns.parts[1] > 0 && visible[columns.blocks(0)] != 0) {
      return bytes(source, 1, kv_head_, 0, columns.blocks(0));
    }
    const int part = columns.parts[0] > 0 ? 0 : 1;
    if (source == a_.k) return bytes(a_.v, part, kv_head_, 0, 0);
    if (kv_head_ + 1 < a_.shape.kv_heads) return bytes(a_.k, part, kv_head_ + 1, 0, 0);
    return {};
  }

  // The scores of a tile's queries and the largest of each.
  template <class Element, int kQueries>
  void look_at(const Tile& tile, const Columns& keys) const {
    int64_t n = 0;
    for (int q = 0; q < kQueries; ++q) n = std::max(n, tile.looks[q].visible.count);
    if (n == 0) return;
    multiply_keys<Element, kQueries>(scratch_.queries + tile.first * padded(keys.head_dim), keys, n,
                                     tile.scores, score_stride_, tile.fetch);
    for (int q = 0; q < kQueries; ++q) {
      const Look& look = tile.looks[q];
      float& largest = scratch_.largest[tile.first + q];
      largest = finish_scores(tile.scores + q * score_stride_, look.visible.count, a_.shape,
                              look.visible.plain ? nullptr : &look.mask, largest);
    }
  }

  // The weights of a tile's queries, once all scores are known, and the sums of weighted values.
  template <class Element, int kQueries>
  void take(const Tile& tile, const Columns& values) const {
    for (int q = 0; q < kQueries; ++q) {
      const int64_t n = tile.looks[q].visible.count;
      if (tile.fetch != nullptr) {
        tile.fetch->some(n * values.head_dim * static_cast<int64_t>(Element::kSize) / 4 / kQueries);
      }
      scratch_.totals[tile.first + q] +=
          add_exponentials(tile.scores + q * score_stride_, n, scratch_.largest[tile.first + q]);
    }
    add_block_values<Element, kQueries>(values, tile.looks, tile.scores, score_stride_,
                                        scratch_.sums + tile.first * padded(values.head_dim),
                                        tile.fetch);
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
    std::fill_n(scratch_.totals, count_, 0.0);
  }

  void finish() const {
    for (int64_t i = 0; i < count_; ++i) {
      float* out = a_.out + (row_of(i) * a_.shape.heads + head_of(i)) * a_.shape.head_dim;
      const float* sums = scratch_.sums + i * padded(a_.shape.head_dim);
      // NaN among the scores is the result.
      const float total = std::isnan(scratch_.largest[i]) ? scratch_.largest[i]
                                                          : static_cast<float>(scratch_.totals[i]);
      for (int64_t j = 0; j < a_.shape.head_dim; ++j) out[j] = sums[j] / total;
    }
  }

  const AttentionArguments& a_;
  int64_t group_, kv_head_, first_, count_;
  int64_t score_stride_ = 0;  // floats from a query's scores to the next one's
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

int64_t attention_item_queries(const AttentionShape& shape, int64_t seen_blocks, int threads) {
  int64_t queries = kItemQueries;
  while (queries > kTile && (attention_items(shape, queries) < int64_t{2} * threads ||
                             queries * seen_blocks * kAttentionBlock > kItemScores)) {
    queries /= 2;
  }
  return queries;
}

int64_t attention_items(const AttentionShape& shape, int64_t item_queries) {
  const int64_t queries = shape.heads / shape.kv_heads * shape.rows;
  return shape.kv_heads * ((queries + item_queries - 1) / item_queries);
}

size_t attention_scratch(const AttentionShape& shape) {
  AttentionScratch scratch;
  const int64_t scores =
      std::min(std::max(kItemScores, kTile * shape.columns.blocks() * kAttentionBlock),
               kItemQueries * shape.columns.blocks() * kAttentionBlock);
  return AttentionScratch::layout(shape.head_dim, nullptr, &scratch) + kPadding +
         static_cast<size_t>(scores);
}

void attention(const AttentionArguments& arguments, int64_t item_queries, int64_t begin,
               int64_t end, float* scratch) {
  HWY_DYNAMIC_DISPATCH(attention)(arguments, item_queries, begin, end, scratch);
}

}  // namespace diptych::engine
#endif
