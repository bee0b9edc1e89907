// The table of kernels: which operations the engine runs and how. The semantics are those of
// docs/engine.md and of the op table (mil/op_table.h); kernels stand in reference/ by family.
//
// To add an operation: a line in kernels.cc with its rule for token axes, a lowering function in
// the file of its family, a test in test/engine.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "engine/lowering.h"
#include "engine/token_axes.h"
#include "mil/ir.h"

namespace diptych::engine {

struct Kernel {
  std::string_view op;
  // Emits the step of one operation that has passed the verifier, or says why it cannot.
  Status (*lower)(const mil::Op& op, Lowering& lowering);
  TokenAxisRule token_axis;
  // True for operations that compute new values, which typed numerics rounds. The others only move
  // elements.
  bool computes = false;
  // Lowered only when another operation asks for the cells of its result.
  bool on_demand = false;
};

// Sorted by operation.
std::span<const Kernel> kernels();
// Null for an operation that the engine does not run.
const Kernel* find_kernel(std::string_view op);

// reference/elementwise.cc
Status lower_abs(const mil::Op& op, Lowering& lowering);
Status lower_add(const mil::Op& op, Lowering& lowering);
Status lower_cast(const mil::Op& op, Lowering& lowering);
Status lower_greater_equal(const mil::Op& op, Lowering& lowering);
Status lower_mul(const mil::Op& op, Lowering& lowering);
Status lower_real_div(const mil::Op& op, Lowering& lowering);
Status lower_rsqrt(const mil::Op& op, Lowering& lowering);
Status lower_select(const mil::Op& op, Lowering& lowering);
Status lower_gelu(const mil::Op& op, Lowering& lowering);
Status lower_sigmoid(const mil::Op& op, Lowering& lowering);
Status lower_silu(const mil::Op& op, Lowering& lowering);
Status lower_sqrt(const mil::Op& op, Lowering& lowering);
Status lower_tanh(const mil::Op& op, Lowering& lowering);
Status lower_square(const mil::Op& op, Lowering& lowering);
Status lower_sub(const mil::Op& op, Lowering& lowering);

// reference/shape.cc
Status lower_concat(const mil::Op& op, Lowering& lowering);
Status lower_graph_break(const mil::Op& op, Lowering& lowering);
Status lower_reshape(const mil::Op& op, Lowering& lowering);  // expand_dims and squeeze too
Status lower_slice_by_index(const mil::Op& op, Lowering& lowering);
Status lower_split(const mil::Op& op, Lowering& lowering);
Status lower_stack(const mil::Op& op, Lowering& lowering);
Status lower_transpose(const mil::Op& op, Lowering& lowering);

// reference/reduce.cc
Status lower_reduce_max(const mil::Op& op, Lowering& lowering);
Status lower_reduce_mean(const mil::Op& op, Lowering& lowering);
Status lower_reduce_sum(const mil::Op& op, Lowering& lowering);
Status lower_softmax(const mil::Op& op, Lowering& lowering);

// linear.cc
Status lower_linear(const mil::Op& op, Lowering& lowering);
Status lower_cpu_linear(const mil::Op& op, Lowering& lowering);

// reference/contract.cc
Status lower_matmul(const mil::Op& op, Lowering& lowering);

// fused/: attention.cc, rows.cc
Status lower_cpu_attention(const mil::Op& op, Lowering& lowering);
Status lower_cpu_rms_norm(const mil::Op& op, Lowering& lowering);
Status lower_cpu_rope(const mil::Op& op, Lowering& lowering);
Status lower_cpu_geglu(const mil::Op& op, Lowering& lowering);
Status lower_cpu_swiglu(const mil::Op& op, Lowering& lowering);

// reference/weights.cc
Status lower_constexpr_blockwise_shift_scale(const mil::Op& op, Lowering& lowering);
Status lower_constexpr_lut_to_dense(const mil::Op& op, Lowering& lowering);
Status lower_gather(const mil::Op& op, Lowering& lowering);

}  // namespace diptych::engine
