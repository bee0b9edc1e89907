// Matrices times diagonal ones: what the gain of a norm is to the linears that take its result.
#pragma once

#include "tensor/weight.h"

namespace diptych {

// Returns matrix * diag(diagonal) in fp32 for a matrix [rows, n] and a vector [n]: products in
// double, rounded once. Rows are computed when they are read.
WeightRef times_diagonal(WeightRef matrix, WeightRef diagonal);
// Returns diag(diagonal) in fp32, [n, n], for a vector [n].
WeightRef diagonal_matrix(WeightRef diagonal);

}  // namespace diptych
