// How a checkpoint that is quantised already holds a matrix, for those who would keep its codes.
#pragma once

#include <optional>

#include "tensor/weight.h"

namespace diptych {

// Element [i, j] of the matrix is
//   scales[i, j / block] * (codes[i, j] - zero) + minima[i, j / block],
// block being the columns that share a scale. The parts are computed when they are read, as the
// matrix is.
struct StoredBlocks {
  WeightRef codes;   // int4 or int8 [rows, columns]
  WeightRef scales;  // fp32 [rows, columns / block]
  WeightRef minima;  // as the scales, or null: all 0
  int zero = 0;      // the code of the minimum
};

// What a class of weights implements, besides Weight, that may have such a form. Views that leave
// rows whole and casts between float types hand on their source's: a form is that of the same rows,
// before they were rounded.
class HasStoredBlocks {
 public:
  virtual ~HasStoredBlocks() = default;
  virtual std::optional<StoredBlocks> stored_blocks() const = 0;
};

// Returns the form that a weight has where it comes from, or nothing if it is not quantised there.
std::optional<StoredBlocks> stored_blocks(const Weight& weight);

// The same with every part seen through view(part), which leaves rows whole.
template <class View>
std::optional<StoredBlocks> stored_through(const Weight& source, const View& view) {
  auto blocks = stored_blocks(source);
  if (!blocks) return std::nullopt;
  for (WeightRef* part : {&blocks->codes, &blocks->scales, &blocks->minima}) {
    if (*part) *part = view(*part);
  }
  return blocks;
}

}  // namespace diptych
