// What a row of a call sees, written into masks [T, C + T]. Masks are added: 0 shows a column, the
// file's hidden entry (-inf unless it says another) hides it.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "contract/model.h"

namespace diptych::generate {

// One row of a call. It sees the tokens in the cache and of the new ones those that `visible` says,
// or else those up to its own.
struct RowView {
  int64_t row = 0;
  int64_t cached = 0;                // tokens in the cache
  const uint8_t* visible = nullptr;  // [T], or null
};

// Writes the row into the mask of a class of layers, for a method of `tokens` tokens.
void put_row(const contract::Model& model, const contract::LayerClass& layers, int64_t tokens,
             const RowView& view, MutableBytes mask);

}  // namespace diptych::generate
