// Which columns each row of an attention mask shows, block by block, so that attention skips hidden
// columns and need not add masks of zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

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

// What hides a column. An entry of -inf does in any row. One of kHiddenEntry or less does beside an
// entry of 0, where scores cannot make up for it (finite_entries_hide): what it is added to has an
// exponential of 0 then. A row without a 0 keeps such columns.
enum class Hiding : uint8_t { Infinite, Finite };
inline constexpr float kHiddenEntry = -40000;
constexpr float hidden_from(Hiding hiding) {
  return hiding == Hiding::Finite ? kHiddenEntry : -std::numeric_limits<float>::infinity();
}

// Whether scores of fp16, times `scale`, are so close together that kHiddenEntry outweighs their
// distance by 100, and exp(-100) is 0 to attention: for heads of 11 elements or more.
constexpr bool finite_entries_hide(double scale) {
  return 2 * 65504.0 * (scale < 0 ? -scale : scale) <= -kHiddenEntry - 100;
}

// What a row sees of a block, in a byte.
struct Visible {
  int64_t count = 0;                 // columns up to the last one that is not hidden
  bool plain = true;                 // the mask is 0 for all of these
  Hiding hiding = Hiding::Infinite;  // else: what hides some of them

  // 0 for nothing; else the count, and 64 more for each way in which it may not be plain.
  constexpr uint8_t byte() const {
    const int64_t ways = plain ? 0 : 1 + static_cast<int64_t>(hiding);
    return static_cast<uint8_t>(count == 0 ? 0 : count + ways * kAttentionBlock);
  }
  static constexpr int64_t count_of(uint8_t byte) {
    return byte == 0 ? 0 : (byte - 1) % kAttentionBlock + 1;
  }
  static constexpr Visible of(uint8_t byte) {
    const int64_t ways = byte == 0 ? 0 : (byte - 1) / kAttentionBlock;
    return {count_of(byte), ways == 0, ways == 2 ? Hiding::Finite : Hiding::Infinite};
  }
};

// Fills visible [rows, columns.blocks()] with the bytes of Visible for rows [begin, end) of a
// packed mask, fp16 or fp32 at any address. Only with Hiding::Finite do finite entries hide.
void find_visible(const AttentionColumns& columns, const std::byte* mask, bool half, Hiding hiding,
                  int64_t begin, int64_t end, uint8_t* visible);

// What all rows see together.
struct SeenColumns {
  int64_t pairs = 0;   // row and column, counted up to the last one that the row sees of each block
  int64_t blocks = 0;  // that at least one row sees
};
SeenColumns seen_columns(const AttentionColumns& columns, int64_t rows, const uint8_t* visible);

}  // namespace diptych::engine
