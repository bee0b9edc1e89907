// The rows of the latest tokens, for a layer with a window: its keys or its values, as a method
// takes them.
//
// Slots are in the order of the tokens and the last token is in the last slot, whatever their
// number. So a sum over them has one order, and the bits of a result do not depend on where calls
// were cut. Nothing is moved for it: what a method takes begins one row further on with each token,
// and the row that drops out of one head's slots makes room for the new one of the head before it.
// Once the room behind is used up, all rows move back at once, which comes to the copy of a token's
// rows for each token.
//
// A row that drops out is set aside until `slots` more have, so that rewinds can put it back.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace diptych::generate {

struct RingShape {
  int64_t heads = 0, slots = 0;
  int64_t row_bytes = 0;  // of a token and a head

  int64_t view_bytes() const { return heads * slots * row_bytes; }  // what a method takes
  int64_t bytes() const { return 2 * view_bytes() + slots * row_bytes; }
};

class RowRing {
 public:
  // In `memory` of shape.bytes() zeros. The shape's bytes fit 63 bits.
  RowRing(const RingShape& shape, MutableBytes memory) : shape_(shape), memory_(memory) {}

  // [heads, slots, row]. Tokens are 0 to some number; slots before those of them are unspecified,
  // but zeros or rows of tokens. What it points to changes with append() and rewind().
  Bytes view() const;

  // Adds the row of the token at `position`, the next one; those of its heads are `head_stride`
  // bytes apart.
  void append(int64_t position, const std::byte* row, uint64_t head_stride);

  // Whether `tokens` tokens can be gone back to and the `needed` last of them are there then.
  bool holds(int64_t tokens, int64_t needed) const;
  // Goes back from `from` tokens to `tokens`.
  void rewind(int64_t from, int64_t tokens);

  // Becomes a copy of a ring of the same shape.
  void copy_from(const RowRing& other);

 private:
  std::byte* slot(int64_t head, int64_t index) const;
  std::byte* aside(int64_t position, int64_t head) const;
  void move_to(int64_t first);

  RingShape shape_;
  MutableBytes memory_;
  int64_t first_ = 0;   // the view's first row in memory, from 0 to slots
  int64_t oldest_ = 0;  // the first token of which nothing is lost
};

}  // namespace diptych::generate
