// Quantises embedding tables.
#pragma once

#include "base/error.h"
#include "mil/ir.h"
#include "quant/cache.h"

namespace diptych::passes {

// Every `gather` along axis 0 of a constant fp16 or fp32 matrix [vocab, dim] gets the matrix
// quantised along dim. A dim that the group does not divide is an error that names the table and
// the nearest valid group.
Status quantize_embeddings(mil::Program& program, const quant::Quantization& how,
                           quant::Cache& cache);

}  // namespace diptych::passes
