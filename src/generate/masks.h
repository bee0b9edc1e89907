// What a row of a call sees, written into masks [T, C + T]. Masks are added: 0 shows a column, the
// file's hidden entry (-inf unless it says another) hides it.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "contract/model.h"

namespace diptych::generate {

// What the columns of a call are: slots of the cache, then new tokens.
struct Columns {
  int64_t first_position = 0;          // of the token in the cache's first slot
  int64_t cached = 0;                  // tokens in the cache
  std::span<const int64_t> positions;  // [T], of the new tokens
};

// Writes row `row` of the mask of a class of layers. It sees the tokens in the cache and of the new
// ones those that `visible` [T] says, or where it is null those up to its own; both as far as the
// window of these layers goes back from its position.
void put_row(const contract::Model& model, const contract::LayerClass& layers,
             const Columns& columns, int64_t row, const uint8_t* visible, MutableBytes mask);

}  // namespace diptych::generate
