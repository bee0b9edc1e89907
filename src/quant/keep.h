// Keeps the codes of a matrix whose source is quantised already (tensor/stored_blocks.h), instead
// of quantising what they stand for once more.
//
// A source of scales alone is taken over as it is. Where it has minima too, they become offsets:
// scale * (code - zero) + minimum = scale * (code - offset), offset = zero - minimum / scale. In an
// fp16 program scales and offsets are rounded to fp16, and that is all that is lost.
#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"
#include "quant/format.h"
#include "quant/quantize.h"
#include "tensor/weight.h"

namespace diptych::quant {

// The format of a weight whose codes can be kept; nothing for a weight that is not quantised.
std::optional<Format> kept_format(const Weight& weight);

// `source` is an fp16 or fp32 matrix that has StoredBlocks; codes are theirs, scales and offsets
// have its type. `tensor` names it in errors, those of a later read included: a scale, an offset or
// a number that the type cannot hold. The digests are of the source's and not of what is computed.
Result<QuantizedWeight> keep(const WeightRef& source, std::string_view tensor);

// Reads the scales and minima of a weight that is to be kept, and refuses what keep() would refuse
// when they are read. The error names the tensor and the nearest valid choice.
Status check_kept(const WeightRef& source, std::string_view tensor);

}  // namespace diptych::quant
