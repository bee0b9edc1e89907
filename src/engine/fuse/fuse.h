// Fusions: groups of operations that the CPU engine computes as one, rewritten into the cpu.…
// operations of our own dialect (docs/formats/mil_ops.md).
//
// A pattern is found from its last operation backwards, whatever the order in which the operations
// stand and of the operands of add and mul, and whatever reshapes stand in between. That operation
// is rewritten; the others stay for their other users, or go when they have none. What matches no
// pattern stays as it is. So every function computes what it computed before, but for rounding:
// the operations inside of a group are not rounded to their declared types any more.
#pragma once

#include "base/error.h"
#include "mil/ir.h"

namespace diptych::engine {

// cpu.linear(x, weights, biases, counts, residual): linears of one x whose results are concatenated
// along the last axis, which is what splitting a linear leaves behind; a single linear as well.
// Biases of zeros are dropped. Those that share x become one operation, whose results take
// counts[i] weights each. (The residual is fuse_residuals()' work.)
Status fuse_linears(mil::Function& function);

// cpu.rms_norm(x, weight, epsilon, relative_epsilon): x / sqrt(mean(x^2) + epsilon) * weight along
// the last axis; with relative_epsilon, where the mean was computed of x / max|x|, the epsilon is
// times max|x|^2. The weight may be missing.
Status fuse_norms(mil::Function& function);

// cpu.rope(x, cos, sin, interleaved): pairs of elements rotated, either neighbours (interleaved;
// tables have half as many columns) or those half a row apart.
Status fuse_ropes(mil::Function& function);

// cpu.attention(q, k_cache, k, v_cache, v, mask, scale, cap): softmax(q . [k_cache; k] * scale +
// mask) . [v_cache; v], heads side by side in the result; groups of query heads share a head of
// keys. With a cap, scaled scores s become cap * tanh(s / cap) before the mask.
Status fuse_attention(mil::Function& function);

// cpu.swiglu(gate, up): silu(gate) * up. cpu.geglu(gate, up): the same with gelu's approximation by
// a tanh.
Status fuse_gated(mil::Function& function);

// cpu.linear's residual: what is added to its one result, which nobody else uses.
Status fuse_residuals(mil::Function& function);

// Outputs that are means of integers become means of floats, with their fractions
// (ExecutableOptions::wide_means). Not one of the fusions.
Status widen_means(mil::Function& function);

// All fusions, and then removes what nobody uses.
Status fuse_for_cpu(mil::Function& function);

}  // namespace diptych::engine
