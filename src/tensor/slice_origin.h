// Finds out whether a weight is a slice of another.
#pragma once

#include "tensor/weight.h"

namespace diptych {

// The weight that a row_slice() was taken from, and its first row there. The source is null for any
// other weight.
struct SliceOrigin {
  WeightRef source;
  int64_t first = 0;
};
SliceOrigin slice_origin(const Weight& weight);

}  // namespace diptych
