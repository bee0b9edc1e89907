// Quantises embedding tables.
#pragma once

#include "base/error.h"
#include "mil/ir.h"
#include "quant/cache.h"

namespace diptych::passes {

// Quantises along dim the constant fp16 or fp32 matrix [vocab, dim] of every `gather` along axis 0.
// Errors: a dim that the group does not divide, with the table and the nearest valid group.
Status quantize_embeddings(mil::Program& program, const quant::Quantization& how,
                           quant::Cache& cache);

}  // namespace diptych::passes
