// Meta's larger checkpoints come in parts, one for each GPU they were trained to run on
// (consolidated.00.pth, consolidated.01.pth, …): every matrix is cut into as many pieces.
#pragma once

#include <vector>

#include "base/error.h"
#include "checkpoint/checkpoint.h"

namespace diptych::checkpoint {

// One checkpoint from its parts, in order; one or more. Matrices whose outputs are divided (wq, wk,
// wv, w1, w3, output) are joined by rows, those whose inputs are (wo, w2) by columns; norms and
// tables are the same in every part. tok_embeddings is divided by columns in Llama 1 and 2 and by
// rows in Llama 3: told from the width of the norms. Parts that lack a tensor or have it in another
// shape are an error; contents are not compared.
Result<Checkpoint> join_parts(std::vector<Checkpoint> parts);

}  // namespace diptych::checkpoint
