#include "engine/attention.h"

#include <unistd.h>

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
#include <hwy/contrib/math/math-inl.h>
#include "engine/attention_panel-inl.h"
#include "engine/attention_products-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace diptych::engine::HWY_NAMESPACE {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

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

// What some queries from `first` on have to do with a block.
struct Tile {
  const Look* looks;
  int64_t first;
  float* scores;  // of the block and the first of them
  Fetch* fetch;   // what comes after the block; null: nothing
};

// The two ways to a tile's scores, with the same bits: from a block's keys where they lie, and from
// the panel that all queries of an item share.
template <class Element>
struct PlainProducts {
  Columns keys;

  template <int kQueries>
  void multiply(const float* queries, int64_t n, const Tile& tile, int64_t score_stride) const {
    multiply_keys<Element, kQueries>(queries, keys, n, tile.scores, score_stride, tile.fetch);
  }
};
#if HWY_MAX_BYTES == 64
struct PanelProducts {
  KeyPanel keys;

  template <int kQueries>
  void multiply(const float* queries, int64_t n, const Tile& tile, int64_t score_stride) const {
    multiply_panel<kQueries>(queries, keys, n, tile.scores, score_stride);
  }
};
#endif

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
    for_blocks([&](const Block& block) HWY_ATTR {
      a_.k[block.part].half ? look_at_block<PackedHalves>(block)
                            : look_at_block<PackedFloats>(block);
    });
    for_blocks([&](const Block& block) HWY_ATTR {
      a_.v[block.part].half ? take_block<PackedHalves>(block) : take_block<PackedFloats>(block);
    });
    finish();
  }

 private:
  // A block of columns that at least one row of the item sees.
  struct Block {
    int part;
    int64_t begin;   // its first column, of the part
    int64_t number;  // of all blocks
    int64_t seen;    // how many such blocks come before
    int64_t offset;  // its first column, of the mask
  };

  int64_t row_of(int64_t i) const { return (first_ + i) / group_; }
  int64_t head_of(int64_t i) const { return kv_head_ * group_ + (first_ + i) % group_; }

  template <class Body>
  void for_blocks(Body body) const {
    const AttentionColumns& columns = a_.shape.columns;
    Block block{0, 0, 0, 0, 0};
    for (; block.part < 2; ++block.part) {
      const int64_t size = columns.parts[block.part];
      for (block.begin = 0; block.begin < size; block.begin += kAttentionBlock, ++block.number) {
        block.offset = block.part * columns.parts[0] + block.begin;
        const uint8_t* visible = a_.visible + block.number;
        int64_t row = row_of(0);
        const int64_t last = row_of(count_ - 1);
        while (row <= last && visible[row * columns.blocks()] == 0) ++row;
        if (row > last) continue;
        body(block);
        ++block.seen;
      }
    }
  }

  // The columns of a block up to the last one that a row of the item sees.
  int64_t seen_of(const Block& block) const {
    int64_t n = 0;
    for (int64_t row = row_of(0); row <= row_of(count_ - 1); ++row) {
      n = std::max(n,
                   Visible::count_of(a_.visible[row * a_.shape.columns.blocks() + block.number]));
    }
    return n;
  }

  // Calls body(kQueries, tile) for a block and all queries in tiles. The first tile reads the block
  // from memory, and fetches with it; the others find it in a cache.
  template <class Body>
  void for_tiles(const Block& block, Fetch* fetch, Body body) const {
    Look looks[kTile];
    Tile tile{looks, 0, scratch_.scores + block.seen * kAttentionBlock, fetch};
    const auto tile_of = [&](auto queries) HWY_ATTR {
      for (int q = 0; q < queries(); ++q) looks[q] = look_of(tile.first + q, block);
      body(queries, tile);
      tile.first += queries();
      tile.scores += queries() * score_stride_;
      tile.fetch = nullptr;
    };
    while (tile.first + 4 <= count_) tile_of(std::integral_constant<int, 4>());
    if (tile.first + 2 <= count_) tile_of(std::integral_constant<int, 2>());
    if (tile.first < count_) tile_of(std::integral_constant<int, 1>());
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

  template <class Element>
  void look_at_block(const Block& block) const {
    Fetch fetch = after(a_.k, block);
    const Columns keys = columns_at(a_.k[block.part], block.part, kv_head_, block.begin);
#if HWY_MAX_BYTES == 64
    if (count_ >= kSharedQueries) {
      const KeyPanel panel = make_panel<Element>(keys, seen_of(block), &fetch, scratch_.block);
      for_tiles(block, nullptr, [&](auto queries, const Tile& tile) HWY_ATTR {
        look_at<queries()>(tile, PanelProducts{panel});
      });
      return;
    }
#endif
    for_tiles(block, &fetch, [&](auto queries, const Tile& tile) HWY_ATTR {
      look_at<queries()>(tile, PlainProducts<Element>{keys});
    });
  }

  template <class Element>
  void take_block(const Block& block) const {
    Fetch fetch = after(a_.v, block);
    const Columns values = columns_at(a_.v[block.part], block.part, kv_head_, block.begin);
    if (Element::kSize == PackedHalves::kSize && count_ >= kSharedQueries) {
      const Columns wide = widen_values(values, seen_of(block), &fetch, scratch_.block);
      for_tiles(block, nullptr, [&](auto queries, const Tile& tile) HWY_ATTR {
        take<PackedFloats, queries()>(tile, wide);
      });
      return;
    }
    for_tiles(block, &fetch, [&](auto queries, const Tile& tile) HWY_ATTR {
      take<Element, queries()>(tile, values);
    });
  }

  // The scores of a tile's queries and the largest of each.
  template <int kQueries, class Products>
  void look_at(const Tile& tile, const Products& products) const {
    int64_t n = 0;
    for (int q = 0; q < kQueries; ++q) n = std::max(n, tile.looks[q].visible.count);
    if (n == 0) return;
    products.template multiply<kQueries>(scratch_.queries + tile.first * padded(a_.shape.head_dim),
                                         n, tile, score_stride_);
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

namespace {

int64_t item_scores() {
  static const int64_t scores =
      std::clamp<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE) / 2 / int64_t{sizeof(float)},
                          kLeastItemScores, kMostItemScores);
  return scores;
}

}  // namespace

int64_t attention_item_queries(const AttentionShape& shape, int64_t seen_blocks, int threads) {
  int64_t queries = kItemQueries;
  while (queries > kTile && (attention_items(shape, queries) < int64_t{2} * threads ||
                             queries * seen_blocks * kAttentionBlock > item_scores())) {
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
      std::min(std::max(item_scores(), kTile * shape.columns.blocks() * kAttentionBlock),
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
