// Attention over a cache and the new positions, both where they lie: no concat, no repeated heads,
// and no work for columns that are masked out.
//
// The softmax is computed on the way over the columns (Milakov and Gimelshein, "Online normalizer
// calculation for softmax", 2018), in blocks whose borders are multiples of kAttentionBlock columns
// of the cache or of the new part. A row's bits depend on its own query, mask and columns alone:
// leaving out a block that is masked throughout changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace diptych::engine {

inline constexpr int64_t kAttentionBlock = 64;

// Keys or values [heads, columns, head_dim], packed, fp32 or fp16 at any address.
struct AttentionSource {
  const std::byte* data = nullptr;
  bool half = false;
  int64_t columns = 0;
};

// Columns are those of the cache, then the new ones. All floats but the sources' are fp32.
struct AttentionShape {
  int64_t heads = 0;     // of queries; a multiple of kv_heads
  int64_t kv_heads = 0;  // query head h reads key and value head h / (heads / kv_heads)
  int64_t rows = 0;      // queries per head
  int64_t head_dim = 0;
  float scale = 1;
};

struct AttentionArguments {
  AttentionShape shape;
  const float* q = nullptr;     // [heads, rows, head_dim]
  AttentionSource k[2], v[2];   // of the cache and of the new positions
  const float* mask = nullptr;  // [rows, columns], added; -inf: not seen
  float* out = nullptr;         // [rows, heads, head_dim]
};

// The work is divided into items: a head of keys with up to kAttentionItemRows rows of its queries.
int64_t attention_items(const AttentionShape& shape);
// Floats of scratch memory that one thread needs.
size_t attention_scratch(const AttentionShape& shape);

// Computes items [begin, end). A row that is masked throughout gives NaN; NaN anywhere in a row's
// query or in the columns it sees gives NaN.
void attention(const AttentionArguments& arguments, int64_t begin, int64_t end, float* scratch);

}  // namespace diptych::engine
