#include "engine/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/attention.cc"
// clang-format off
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
// After the two above, which it relies on.
#include <hwy/contrib/math/math-inl.h>
// clang-format on

#ifndef DIPTYCH_ENGINE_ATTENTION_ONCE
#define DIPTYCH_ENGINE_ATTENTION_ONCE
namespace diptych::engine {

// Queries of one key head (rows times the heads that share it) that are computed together, so that
// keys and values are converted once for all of them.
inline constexpr int64_t kAttentionItemRows = 64;
// Heads are padded with zeros to whole vectors of every instruction set.
inline constexpr int64_t kMaxLanes = 16;

inline int64_t padded(int64_t head_dim) {
  return (head_dim + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
}

// Scratch of a thread: a block of keys and of values as floats; queries and sums of an item's rows;
// the scores of one row and which columns of the block it sees.
struct AttentionScratch {
  float *keys, *values, *queries, *sums, *largest, *total, *scores;

  // Carves `memory` up; returns the number of floats when it is null.
  static size_t layout(const AttentionShape& shape, float* memory, AttentionScratch* out) {
    const auto dim = static_cast<size_t>(padded(shape.head_dim));
    constexpr auto kBlock = static_cast<size_t>(kAttentionBlock);
    constexpr auto kRows = static_cast<size_t>(kAttentionItemRows);
    const size_t sizes[] = {kBlock * dim, kBlock * dim, kRows * dim,       kRows * dim,
                            kRows,        kRows,        kBlock + kMaxLanes};
    float** const parts[] = {&out->keys,    &out->values, &out->queries, &out->sums,
                             &out->largest, &out->total,  &out->scores};
    size_t used = 0;
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
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
using V32 = hn::Vec<F32>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Columns [first, first + count) of one head as floats, rows padded.
void load_columns(const AttentionSource& source, int64_t head, int64_t head_dim, int64_t first,
                  int64_t count, float* out) {
  const F32 d;
  const hn::Rebind<hwy::float16_t, F32> d16;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t dim = padded(head_dim), width = source.half ? 2 : 4;
  const std::byte* from = source.data + (head * source.columns + first) * head_dim * width;
  for (int64_t column = 0; column < count; ++column, from += head_dim * width, out += dim) {
    if (!source.half) {
      std::memcpy(out, from, static_cast<size_t>(head_dim) * 4);
    } else {
      alignas(64) uint16_t bits[16];
      for (int64_t i = 0; i < head_dim; i += lanes) {
        const int64_t some = std::min(lanes, head_dim - i);
        std::memcpy(bits, from + 2 * i, static_cast<size_t>(some) * 2);
        const auto halves = hn::Load(d16, reinterpret_cast<const hwy::float16_t*>(bits));
        hn::StoreU(hn::PromoteTo(d, halves), d, out + i);
      }
    }
    std::fill(out + head_dim, out + dim, 0.0f);
  }
}

float dot(const float* a, const float* b, int64_t dim) {
  const F32 d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V32 sum = hn::Zero(d);
  for (int64_t i = 0; i < dim; i += lanes) {
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

bool sees_nothing(const float* mask, int64_t count) {
  return std::all_of(mask, mask + count, [](float m) { return m == -kInfinity; });
}

// The scores of the columns that a row sees, in order; `seen` gets which. Returns their number.
int64_t score_block(const AttentionScratch& scratch, const float* query, int64_t dim,
                    const float* mask, int64_t count, float scale, uint8_t* seen) {
  int64_t n = 0;
  for (int64_t j = 0; j < count; ++j) {
    if (mask[j] == -kInfinity) continue;
    scratch.scores[n] = dot(query, scratch.keys + j * dim, dim) * scale + mask[j];
    seen[n++] = static_cast<uint8_t>(j);
  }
  return n;
}

// scores[i] = exp(scores[i] - largest); returns their sum.
float exponentials(float* scores, int64_t n, float largest) {
  const F32 d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V32 total = hn::Zero(d);
  std::fill_n(scores + n, kMaxLanes, -kInfinity);  // exp gives 0 for what pads the last vector
  for (int64_t i = 0; i < n; i += lanes) {
    const V32 shifted = hn::Sub(hn::LoadU(d, scores + i), hn::Set(d, largest));
    const V32 p =
        hn::IfThenElse(hn::Lt(shifted, hn::Set(d, -100.0f)), hn::Zero(d), hn::Exp(d, shifted));
    hn::StoreU(p, d, scores + i);
    total = hn::Add(total, p);
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

// sums = sums * shrink + sum over i of p[i] * values[seen[i]].
template <int64_t kVectors>
void add_values(const float* values, int64_t dim, const float* p, const uint8_t* seen, int64_t n,
                float shrink, float* sums) {
  const F32 d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V32 sum[kVectors];
  for (int64_t v = 0; v < kVectors; ++v) {
    sum[v] = hn::Mul(hn::LoadU(d, sums + v * lanes), hn::Set(d, shrink));
  }
  for (int64_t i = 0; i < n; ++i) {
    const V32 weight = hn::Set(d, p[i]);
    const float* value = values + seen[i] * dim;
    for (int64_t v = 0; v < kVectors; ++v) {
      sum[v] = hn::MulAdd(weight, hn::LoadU(d, value + v * lanes), sum[v]);
    }
  }
  for (int64_t v = 0; v < kVectors; ++v) hn::StoreU(sum[v], d, sums + v * lanes);
}

// Brings a row's maximum, total and sums up to date with a block of columns.
void add_block(const AttentionScratch& scratch, int64_t row, int64_t dim, const float* mask,
               int64_t count, float scale) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(F32()));
  uint8_t seen[kAttentionBlock];
  const int64_t n =
      score_block(scratch, scratch.queries + row * dim, dim, mask, count, scale, seen);
  float largest = scratch.largest[row];
  for (int64_t i = 0; i < n; ++i) {
    if (scratch.scores[i] > largest || std::isnan(scratch.scores[i])) largest = scratch.scores[i];
  }
  const float before = scratch.largest[row];
  const float shrink = before == largest ? 1.0f : std::exp(before - largest);
  scratch.largest[row] = largest;
  scratch.total[row] = scratch.total[row] * shrink + exponentials(scratch.scores, n, largest);
  float* sums = scratch.sums + row * dim;
  int64_t at = 0;
  for (; at + 4 * lanes <= dim; at += 4 * lanes) {
    add_values<4>(scratch.values + at, dim, scratch.scores, seen, n, shrink, sums + at);
  }
  for (; at < dim; at += lanes) {
    add_values<1>(scratch.values + at, dim, scratch.scores, seen, n, shrink, sums + at);
  }
}

void attention_item(const AttentionArguments& arguments, int64_t item, float* memory) {
  const AttentionShape& shape = arguments.shape;
  const int64_t group = shape.heads / shape.kv_heads, queries = group * shape.rows;
  const int64_t items_per_head = (queries + kAttentionItemRows - 1) / kAttentionItemRows;
  const int64_t kv_head = item / items_per_head;
  const int64_t first = item % items_per_head * kAttentionItemRows;
  const int64_t count = std::min(kAttentionItemRows, queries - first);
  const int64_t dim = padded(shape.head_dim);
  const int64_t columns = arguments.k[0].columns + arguments.k[1].columns;
  AttentionScratch scratch;
  AttentionScratch::layout(shape, memory, &scratch);

  // Query i of the item is row i / group of head i % group: rows that see the same come together.
  const auto row_of = [&](int64_t i) { return (first + i) / group; };
  const auto head_of = [&](int64_t i) { return kv_head * group + (first + i) % group; };
  for (int64_t i = 0; i < count; ++i) {
    const float* q = arguments.q + (head_of(i) * shape.rows + row_of(i)) * shape.head_dim;
    float* to = scratch.queries + i * dim;
    std::copy_n(q, shape.head_dim, to);
    std::fill(to + shape.head_dim, to + dim, 0.0f);
    scratch.largest[i] = -kInfinity;
    scratch.total[i] = 0;
  }
  std::fill_n(scratch.sums, count * dim, 0.0f);

  int64_t offset = 0;
  for (int part = 0; part < 2; offset += arguments.k[part++].columns) {
    const int64_t part_columns = arguments.k[part].columns;
    for (int64_t begin = 0; begin < part_columns; begin += kAttentionBlock) {
      const int64_t some = std::min(kAttentionBlock, part_columns - begin);
      bool loaded = false;
      int64_t looked_at = -1;
      bool seen = false;
      for (int64_t i = 0; i < count; ++i) {
        const float* mask = arguments.mask + row_of(i) * columns + offset + begin;
        if (row_of(i) != looked_at) {
          looked_at = row_of(i);
          seen = !sees_nothing(mask, some);
        }
        if (!seen) continue;
        if (!loaded) {
          load_columns(arguments.k[part], kv_head, shape.head_dim, begin, some, scratch.keys);
          load_columns(arguments.v[part], kv_head, shape.head_dim, begin, some, scratch.values);
          loaded = true;
        }
        add_block(scratch, i, dim, mask, some, shape.scale);
      }
    }
  }

  for (int64_t i = 0; i < count; ++i) {
    float* out = arguments.out + (row_of(i) * shape.heads + head_of(i)) * shape.head_dim;
    const float* sums = scratch.sums + i * dim;
    for (int64_t j = 0; j < shape.head_dim; ++j) out[j] = sums[j] / scratch.total[i];
  }
}

void attention(const AttentionArguments& arguments, int64_t begin, int64_t end, float* scratch) {
  for (int64_t item = begin; item < end; ++item) attention_item(arguments, item, scratch);
}

}  // namespace diptych::engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::engine {

HWY_EXPORT(attention);

int64_t attention_items(const AttentionShape& shape) {
  const int64_t queries = shape.heads / shape.kv_heads * shape.rows;
  return shape.kv_heads * ((queries + kAttentionItemRows - 1) / kAttentionItemRows);
}

size_t attention_scratch(const AttentionShape& shape) {
  AttentionScratch scratch;
  return AttentionScratch::layout(shape, nullptr, &scratch);
}

void attention(const AttentionArguments& arguments, int64_t begin, int64_t end, float* scratch) {
  HWY_DYNAMIC_DISPATCH(attention)(arguments, begin, end, scratch);
}

}  // namespace diptych::engine
#endif
