// RoPE as a config.json has it: rope_parameters (transformers 5), rope_scaling (before) and keys
// beside them. Page: docs/formats/families.md.
#pragma once

#include "base/json_fwd.h"
#include "llama/param_reader.h"
#include "llama/params.h"

namespace diptych::llama {

// Returns theta, `default_theta` where none is said, and scaling. What transformers would refuse is
// a problem, and so is what its versions take differently: two places that contradict each other, a
// factor without a type.
RopeParams read_hugging_face_rope(const Json& config, double default_theta, int64_t head_dim,
                                  ParamReader& reader);

}  // namespace diptych::llama
