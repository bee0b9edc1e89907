// Telling slices of weights from others.
#pragma once

#include "tensor/weight.h"

namespace diptych {

// What a weight is a row_slice() of, and from which row on; null for any other weight.
struct SliceOrigin {
  WeightRef source;
  int64_t first = 0;
};
SliceOrigin slice_origin(const Weight& weight);

}  // namespace diptych
