// Operations that move blocks between axes: depth_to_space, space_to_depth, pixel_shuffle,
// pixel_unshuffle, batch_to_space and space_to_batch. All split the axes of [n, c, h, w], put the
// parts in another order and join them again.
#pragma once

#include <array>

#include "mil/ir.h"

namespace diptych::mil {

struct BlockMove {
  // Rows before and after h, columns before and after w: of zeros that come first.
  std::array<int64_t, 4> pad{};
  // The padded x as six axes, their order in the result, and how many of them each axis of the
  // result joins.
  Shape split;
  std::array<size_t, 6> order{};
  std::array<size_t, 4> joined{};
  // Rows and columns that are dropped in the end.
  std::array<int64_t, 4> crop{};

  Shape moved() const;   // the shape after the move
  Shape result() const;  // moved and cropped
};

// Errors: block sizes and paddings that do not fit x.
Result<BlockMove> resolve_blocks(const Op& op);

}  // namespace diptych::mil
