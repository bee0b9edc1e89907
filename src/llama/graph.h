// The static-attention Llama as an ML Program, operation for operation what upstream's exporter
// emits (docs/formats/mil_ops.md), before quantising, splitting and cutting, which are passes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "contract/model.h"
#include "llama/params.h"
#include "llama/weights.h"
#include "mil/ir.h"

namespace diptych::llama {

// How RMSNorm, x / sqrt(mean(x^2) + epsilon), is written. Both forms mean the same.
enum class NormForm : uint8_t {
  // As it reads, which is upstream's. In fp16 the squares overflow from |x| = 256 on, and below
  // |x| = 0.0002 they vanish.
  Plain,
  // The mean is of the squares of x / d with d = max|x| + sqrt(epsilon), and epsilon is divided by
  // d^2: x * (1 / sqrt(mean((x / d)^2) + epsilon / d^2) / d). Any d gives the same result; with
  // this
  // one no square exceeds 1, and a row of zeros stays one.
  Safe,
};

struct GraphOptions {
  contract::Model model;  // of as many layers as the weights have
  contract::Method method;
  // Cut points before the first layer and after the last: embedding | layers | norm and head.
  bool graph_breaks = true;
  NormForm norm = NormForm::Plain;
  const Adapter* adapter = nullptr;  // one of the weights', that the method adds; or null
};

// The names that the hidden state has as an input of the partitions after the graph breaks.
inline constexpr std::string_view kFirstBreakInput = "executorch_utils_graph_break_tensor";
inline constexpr std::string_view kSecondBreakInput = "executorch_utils_graph_break_tensor_1";

// One method. Inputs and outputs are those of contract::signature(), in its order (the position as
// int32). Linears are whole: `linear(weight=<constant>)`; the embedding is `gather(x=<constant>)`.
// Both breaks are `diptych.graph_break` operations over the hidden state alone, whose results carry
// the names above.
//
// Interfaces of partitions follow from the order of operations, and operations are emitted so that
// these rules give upstream's order:
//   - the inputs of a partition are the method's inputs and earlier partitions' results, in order
//   of
//     first use, operations in order and operands from left to right;
//   - its outputs are, in order of production, the results used outside of it;
//   - leading_partition_inputs() come first where a partition has them: the head computes with the
//     position before it uses the hidden state.
// With graph breaks: x, V0, cos, sin, K0, mask, V1, K1, ... (with use_hf_rope: cos, sin, x, V0, K0,
// mask, ...) giving V0, K0, V1, K1, ..., hidden; then hidden, position giving logits. Without:
// tokens, cos, sin, K0, V0, mask, K1, V1, ..., position giving V0, K0, ..., logits. (Upstream's
// partitioner re-sorts the nodes of a partition breadth first, unless it is the whole graph.)
Result<std::unique_ptr<mil::Function>> build(const Params& params, const PreparedWeights& weights,
                                             const GraphOptions& options);

// What passes::CutOrder::inputs has to hold for the order described above.
inline std::vector<std::string> leading_partition_inputs() {
  return {std::string(kSecondBreakInput)};
}

}  // namespace diptych::llama
