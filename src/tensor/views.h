// Views: weights that show the rows or columns of other weights in another order. Checkpoints
// differ in how they arrange the same matrices; views bring one arrangement into another without a
// copy.
//
// A view reads its source when it is read. Its digest is that of the elements it shows, so the same
// matrix has the same digest however the checkpoint arranges it. The same holds for row_slice()
// (tensor/weight.h), which takes apart what a checkpoint holds as one.
#pragma once

#include <vector>

#include "tensor/weight.h"

namespace diptych {

// Reorders the channels of each head from halves to pairs: row 2j is the source's row j, row 2j+1
// its row j + rotated/2. A head has `head_dim` rows, a number that divides the rows, of which the
// first `rotated`, an even number, are reordered. RoPE rotates the pairs (x[j], x[j+rotated/2]) in
// Hugging Face's form and (x[2j], x[2j+1]) in Meta's.
WeightRef halves_to_pairs(WeightRef source, int64_t head_dim, int64_t rotated);
// The inverse.
WeightRef pairs_to_halves(WeightRef source, int64_t head_dim, int64_t rotated);

// The rows of all sources, one after the other. There is at least one source, and all have the same
// element type and the same axes after the first.
WeightRef concat_rows(std::vector<WeightRef> sources);
// The columns of all sources, which are matrices of the same element type, of whole bytes, with the
// same number of rows.
WeightRef concat_columns(std::vector<WeightRef> sources);

}  // namespace diptych
