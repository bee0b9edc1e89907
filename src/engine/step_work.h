// What a step works on, for profiles.
#pragma once

#include <cstdint>
#include <optional>

#include "mil/ir.h"

namespace diptych::engine {

struct StepWork {
  int layer = -1;              // of the model; -1 before, after and outside of all
  uint64_t weight_bytes = 0;   // packed, of a linear's weights
  uint64_t multiply_adds = 0;  // of a linear
};

// Weight bytes and multiply-adds of an operation, and the layer in the names of the weights that it
// reads ("layers_3_attention_norm_weight"): nothing when they do not tell, -1 for a norm that
// stands outside of all layers.
struct OpWork {
  std::optional<int> layer;
  uint64_t weight_bytes = 0, multiply_adds = 0;
};
OpWork work_of(const mil::Op& op);

}  // namespace diptych::engine
