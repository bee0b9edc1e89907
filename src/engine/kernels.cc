#include "engine/kernels.h"

#include <algorithm>
#include <iterator>

namespace diptych::engine {
namespace {

constexpr Kernel computes(std::string_view op, Status (*lower)(const mil::Op&, Lowering&)) {
  return {op, lower, true, false};
}
constexpr Kernel moves(std::string_view op, Status (*lower)(const mil::Op&, Lowering&)) {
  return {op, lower, false, false};
}
constexpr Kernel on_demand(std::string_view op, Status (*lower)(const mil::Op&, Lowering&)) {
  return {op, lower, true, true};
}

constexpr Kernel kKernels[] = {
    computes("abs", lower_abs),
    computes("add", lower_add),
    computes("cast", lower_cast),
    moves("concat", lower_concat),
    on_demand("constexpr_blockwise_shift_scale", lower_constexpr_blockwise_shift_scale),
    computes("cpu.attention", lower_cpu_attention),
    computes("cpu.linear", lower_cpu_linear),
    computes("cpu.rms_norm", lower_cpu_rms_norm),
    computes("cpu.rope", lower_cpu_rope),
    computes("cpu.swiglu", lower_cpu_swiglu),
    moves("diptych.graph_break", lower_graph_break),
    moves("expand_dims", lower_reshape),
    moves("gather", lower_gather),
    computes("greater_equal", lower_greater_equal),
    computes("linear", lower_linear),
    computes("matmul", lower_matmul),
    computes("mul", lower_mul),
    computes("real_div", lower_real_div),
    computes("reduce_max", lower_reduce_max),
    computes("reduce_mean", lower_reduce_mean),
    computes("reduce_sum", lower_reduce_sum),
    moves("reshape", lower_reshape),
    computes("rsqrt", lower_rsqrt),
    moves("select", lower_select),
    computes("sigmoid", lower_sigmoid),
    computes("silu", lower_silu),
    moves("slice_by_index", lower_slice_by_index),
    computes("softmax", lower_softmax),
    moves("split", lower_split),
    computes("sqrt", lower_sqrt),
    computes("square", lower_square),
    moves("squeeze", lower_reshape),
    moves("stack", lower_stack),
    computes("sub", lower_sub),
    moves("transpose", lower_transpose),
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
