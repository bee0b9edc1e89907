#include "engine/kernels.h"

#include <algorithm>
#include <iterator>

namespace diptych::engine {
namespace {

using Lower = Status (*)(const mil::Op&, Lowering&);

constexpr Kernel computes(std::string_view op, Lower lower, TokenAxisRule token_axis) {
  return {op, lower, token_axis, true, false};
}
constexpr Kernel moves(std::string_view op, Lower lower, TokenAxisRule token_axis) {
  return {op, lower, token_axis, false, false};
}
constexpr Kernel on_demand(std::string_view op, Lower lower, TokenAxisRule token_axis) {
  return {op, lower, token_axis, true, true};
}

constexpr Kernel kKernels[] = {
    computes("abs", lower_abs, elementwise_token_axis),
    computes("add", lower_add, elementwise_token_axis),
    computes("cast", lower_cast, elementwise_token_axis),
    moves("concat", lower_concat, concat_token_axis),
    on_demand("constexpr_blockwise_shift_scale", lower_constexpr_blockwise_shift_scale,
              no_token_axis),
    on_demand("constexpr_lut_to_dense", lower_constexpr_lut_to_dense, no_token_axis),
    computes("cpu.attention", lower_cpu_attention, attention_token_axis),
    computes("cpu.geglu", lower_cpu_geglu, elementwise_token_axis),
    computes("cpu.linear", lower_cpu_linear, row_token_axis),
    computes("cpu.rms_norm", lower_cpu_rms_norm, row_token_axis),
    computes("cpu.rope", lower_cpu_rope, row_token_axis),
    computes("cpu.swiglu", lower_cpu_swiglu, elementwise_token_axis),
    moves("diptych.graph_break", lower_graph_break, passed_token_axis),
    moves("expand_dims", lower_reshape, reshape_token_axis),
    moves("gather", lower_gather, gather_token_axis),
    computes("gelu", lower_gelu, elementwise_token_axis),
    computes("greater_equal", lower_greater_equal, elementwise_token_axis),
    computes("linear", lower_linear, row_token_axis),
    computes("matmul", lower_matmul, matmul_token_axis),
    computes("mul", lower_mul, elementwise_token_axis),
    computes("real_div", lower_real_div, elementwise_token_axis),
    computes("reduce_max", lower_reduce_max, reduce_token_axis),
    computes("reduce_mean", lower_reduce_mean, reduce_token_axis),
    computes("reduce_sum", lower_reduce_sum, reduce_token_axis),
    moves("reshape", lower_reshape, reshape_token_axis),
    computes("rsqrt", lower_rsqrt, elementwise_token_axis),
    moves("select", lower_select, elementwise_token_axis),
    computes("sigmoid", lower_sigmoid, elementwise_token_axis),
    computes("silu", lower_silu, elementwise_token_axis),
    moves("slice_by_index", lower_slice_by_index, slice_token_axis),
    computes("softmax", lower_softmax, row_token_axis),
    moves("split", lower_split, row_token_axis),
    computes("sqrt", lower_sqrt, elementwise_token_axis),
    computes("square", lower_square, elementwise_token_axis),
    moves("squeeze", lower_reshape, reshape_token_axis),
    moves("stack", lower_stack, stack_token_axis),
    computes("sub", lower_sub, elementwise_token_axis),
    computes("tanh", lower_tanh, elementwise_token_axis),
    moves("transpose", lower_transpose, transpose_token_axis),
};

constexpr bool by_op(const Kernel& a, const Kernel& b) { return a.op < b.op; }
static_assert(std::is_sorted(std::begin(kKernels), std::end(kKernels), by_op));

}  // namespace

std::span<const Kernel> kernels() { return kKernels; }

const Kernel* find_kernel(std::string_view op) {
  const auto at =
      std::lower_bound(std::begin(kKernels), std::end(kKernels), op,
                       [](const Kernel& k, std::string_view name) { return k.op < name; });
  return at != std::end(kKernels) && at->op == op ? at : nullptr;
}

}  // namespace diptych::engine
