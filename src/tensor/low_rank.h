// A matrix with another of low rank added to it: what a trained adapter makes of a weight.
#pragma once

#include "base/error.h"
#include "tensor/weight.h"

namespace diptych {

// Returns base + scale * (b * a) in fp32 for base [rows, columns], a [rank, columns] and b [rows,
// rank]; products and sums in double, rounded once. Rows are computed when they are read; a is kept
// in memory. The digest is that of the results. Errors: InvalidArgument for shapes that do not fit;
// what reading a fails with.
Result<WeightRef> add_low_rank(WeightRef base, const WeightRef& a, WeightRef b, double scale);

}  // namespace diptych
