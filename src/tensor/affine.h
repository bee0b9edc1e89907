// Weights that are a number times others plus a number: what is folded into the gains of norms.
#pragma once

#include "tensor/weight.h"

namespace diptych {

// Returns scale * x + offset for every element x of `source`, computed in double and rounded to
// fp32 once. The digest is that of the results, however they come about.
WeightRef affine(WeightRef source, double scale, double offset);

}  // namespace diptych
