// Weights that are others with their rows or columns in another order. Checkpoints differ in how
// they arrange the same matrices; these bring one arrangement into another without a copy.
//
// A view reads its source when it is read, and its digest is that of the elements it shows: the
// same matrix has the same digest however the checkpoint arranged it. So it is with row_slice()
// (tensor/weight.h), which parts what a checkpoint holds in one.
#pragma once

#include <vector>

#include "tensor/weight.h"

namespace diptych {

// The channels of each head, `head_dim` rows (even, and a divisor of the rows), from halves to
// pairs: row 2j is the source's j, row 2j+1 its j + head_dim/2. RoPE turns pairs (x[j], x[j+d/2])
// in Hugging Face's form and (x[2j], x[2j+1]) in Meta's.
WeightRef halves_to_pairs(WeightRef source, int64_t head_dim);
// The inverse.
WeightRef pairs_to_halves(WeightRef source, int64_t head_dim);

// The rows of all sources, one after the other. They have one element type and agree in the axes
// after the first; one or more.
WeightRef concat_rows(std::vector<WeightRef> sources);
// The columns of all sources, matrices of one element type (whole bytes) and equally many rows.
WeightRef concat_columns(std::vector<WeightRef> sources);

}  // namespace diptych
