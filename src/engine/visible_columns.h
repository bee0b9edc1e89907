// Which columns each row of an attention mask shows, block by block, so that attention skips hidden
// columns and need not add masks of zeros.
#pragma once

#include <cstddef>
#include <cstdint>

namespace diptych::engine {

inline constexpr int64_t kAttentionBlock = 64;

// The columns of a mask: those of the cache, then those of the new positions. Blocks begin at
// multiples of kAttentionBlock of either part.
struct AttentionColumns {
  int64_t parts[2] = {0, 0};

  int64_t count() const { return parts[0] + parts[1]; }
  int64_t blocks(int part) const { return (parts[part] + kAttentionBlock - 1) / kAttentionBlock; }
  int64_t blocks() const { return blocks(0) + blocks(1); }
};

// What a row sees of a block. The bits of kVisibleCount are the number of columns up to the last
// one that is not -inf. The bit kVisiblePlain says that the mask is 0 for all of these.
inline constexpr uint8_t kVisiblePlain = 0x80, kVisibleCount = 0x7F;

// Fills visible [rows, columns.blocks()] for rows [begin, end) of a packed mask, fp16 or fp32 at
// any address.
void find_visible(const AttentionColumns& columns, const std::byte* mask, bool half, int64_t begin,
                  int64_t end, uint8_t* visible);

// What all rows see together.
struct SeenColumns {
  int64_t pairs = 0;   // row and column, counted up to the last one that the row sees of each block
  int64_t blocks = 0;  // that at least one row sees
};
SeenColumns seen_columns(const AttentionColumns& columns, int64_t rows, const uint8_t* visible);

}  // namespace diptych::engine
