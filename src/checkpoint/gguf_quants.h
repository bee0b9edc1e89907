// The quantised element types of GGUF files, as weights of fp32 that are computed when read.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "checkpoint/gguf_format.h"
#include "tensor/weight.h"

namespace diptych::checkpoint {

// A tensor of a quantised type: its rows are made of whole blocks, `packed` has exactly their bytes
// and is kept alive by `owner`. All arithmetic is fp32, one rounding per operation, as the ggml
// project's reference does it. A matrix has StoredBlocks.
Result<WeightRef> gguf_weight(const GgufType& type, Shape shape, Bytes packed,
                              std::shared_ptr<const void> owner);

}  // namespace diptych::checkpoint
