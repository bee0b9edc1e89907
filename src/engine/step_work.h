// What a step of a plan reads and computes. Each step records it when it is made, so that profiles
// and benchmarks need not know how the engine chooses kernels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/arithmetic.h"
#include "mil/ir.h"

namespace diptych::engine {

inline constexpr int64_t kAllRows = std::numeric_limits<int64_t>::max();

// The rows that a step computes one by one.
struct StepRows {
  int64_t count = 1;
  bool are_tokens = false;  // one row for each token (token_axes.h): rows of padding are skipped

  int64_t live(int64_t live_tokens) const {
    return are_tokens ? std::min(count, live_tokens) : count;
  }
};

// Bytes of a constant that a step reads. Steps that name the same place read the same constant.
struct WeightRead {
  const void* place = nullptr;
  uint64_t bytes = 0;
};

struct StepWork {
  int layer = -1;  // of the model; -1 outside of all layers
  StepRows rows;
  // Multiply-adds of a linear for each row, by kind of arithmetic.
  kernels::ByArithmetic<uint64_t> row_multiply_adds;
  std::vector<WeightRead> weights;  // constants that are not scalars, as they are stored

  uint64_t multiply_adds(int64_t live_tokens = kAllRows) const {
    return static_cast<uint64_t>(rows.live(live_tokens)) * kernels::sum(row_multiply_adds);
  }
  uint64_t weight_bytes() const {
    uint64_t bytes = 0;
    for (const WeightRead& weight : weights) bytes += weight.bytes;
    return bytes;
  }
};

// The layer that an operation belongs to. A file tells layers only by the names of weights
// ("layers_3_attention_norm_weight"). Returns nothing when the operation's weights do not tell, and
// -1 for a norm outside of all layers.
std::optional<int> layer_of(const mil::Op& op);

}  // namespace diptych::engine
