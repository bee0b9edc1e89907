// Attention over a cache and the new positions, both where they lie: no concat, no repeated heads,
// and no work for columns that come after the last one seen.
//
// Two passes go over the columns, in blocks of kAttentionBlock: one for the scores and their
// maximum, one for the exponentials and the weighted values. The maximum does not depend on an
// order, nor does the sum of the exponentials, which is exact. Values are added in the order of the
// columns. So a row's bits depend only on its query and on the keys, values and penalties that it
// sees, in their order. They do not depend on whether a column lies in the cache or in the new
// part, on hidden columns, or on other rows. Generation relies on this: a token lies in the cache
// for one call and among the new positions for another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/visible_columns.h"

namespace diptych::engine {

// Packed elements, fp32 or fp16 at any address.
struct AttentionSource {
  const std::byte* data = nullptr;
  bool half = false;

  int64_t width() const { return half ? 2 : 4; }  // bytes of an element
};

struct AttentionShape {
  int64_t heads = 0;     // of queries; a multiple of kv_heads
  int64_t kv_heads = 0;  // query head h reads key and value head h / (heads / kv_heads)
  int64_t rows = 0;      // queries per head
  int64_t head_dim = 0;
  AttentionColumns columns;
  float scale = 1;
  float cap = 0;  // scaled scores s become cap * tanh(s / cap); 0: they stay
};

struct AttentionArguments {
  AttentionShape shape;
  const float* q = nullptr;          // [heads, rows or more, head_dim]
  int64_t q_stride = 0;              // floats from one head to the next
  AttentionSource k[2], v[2];        // [kv_heads, columns, head_dim] of the cache and the new part
  AttentionSource mask;              // [rows, columns], added, or hiding (Hiding)
  const uint8_t* visible = nullptr;  // [rows, columns.blocks()], what find_visible() says of mask
  float* out = nullptr;              // [rows, heads, head_dim]
};

// The work is divided into items: a head of keys with some of its queries. Returns how many queries
// an item should have for this number of threads and of seen blocks (those that at least one row
// sees). The number changes no bit of the results.
int64_t attention_item_queries(const AttentionShape& shape, int64_t seen_blocks, int threads);
int64_t attention_items(const AttentionShape& shape, int64_t item_queries);
// Floats of scratch memory that one thread needs.
size_t attention_scratch(const AttentionShape& shape);

// Computes items [begin, end). A row gives NaN when it sees no column, or when there is a NaN in
// its query or in the columns that it sees.
void attention(const AttentionArguments& arguments, int64_t item_queries, int64_t begin,
               int64_t end, float* scratch);

}  // namespace diptych::engine
