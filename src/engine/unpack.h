// What constexpr operations stand for, as floats: weights that no kernel takes as they are stored
// are unpacked once, when a function is compiled.
#pragma once

#include <vector>

#include "engine/numerics.h"
#include "mil/ir.h"

namespace diptych::engine {

struct UnpackOptions {
  Numerics numerics = Numerics::Precise;
  uint64_t memory_limit = UINT64_MAX;  // bytes that the elements of one tensor may take as floats
};

// All elements of a constant, or of the result of constexpr operations over constants, as floats;
// every integer of theirs is exact. In typed numerics, what an operation gives as fp16 is rounded,
// and the number of overflows is added to *overflows. The operations have passed the verifier.
// Errors: a mask that shows another number of elements than there are; Unsupported beyond the
// memory limit.
Result<std::vector<float>> unpack(const mil::Value& value, const UnpackOptions& options,
                                  uint64_t* overflows);

}  // namespace diptych::engine
