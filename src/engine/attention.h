// Attention over a cache and the new positions, both where they lie: no concat, no repeated heads,
// and no work for columns that come after the last one seen.
//
// The softmax is computed on the way over the columns (Milakov and Gimelshein, "Online normalizer
// calculation for softmax", 2018), in blocks of kAttentionBlock columns of the cache or of the new
// part. A row's bits depend on its own query, mask and columns alone: every score is summed in one
// order, and leaving out columns that are masked changes nothing.
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
};

struct AttentionArguments {
  AttentionShape shape;
  const float* q = nullptr;          // [heads, rows or more, head_dim]
  int64_t q_stride = 0;              // floats from one head to the next
  AttentionSource k[2], v[2];        // [kv_heads, columns, head_dim] of the cache and the new part
  AttentionSource mask;              // [rows, columns], added; -inf: not seen
  const uint8_t* visible = nullptr;  // [rows, columns.blocks()], what find_visible() says of mask
  float* out = nullptr;              // [rows, heads, head_dim]
};

// The work is divided into items: a head of keys with some of its queries. How many an item has
// changes no bit of the results; it is made of what is best for so many threads.
int64_t attention_item_queries(const AttentionShape& shape, int threads);
int64_t attention_items(const AttentionShape& shape, int64_t item_queries);
// Floats of scratch memory that one thread needs.
size_t attention_scratch(const AttentionShape& shape);

// Computes items [begin, end). A row that is masked throughout gives NaN; NaN anywhere in a row's
// query or in the columns it sees gives NaN.
void attention(const AttentionArguments& arguments, int64_t item_queries, int64_t begin,
               int64_t end, float* scratch);

}  // namespace diptych::engine
