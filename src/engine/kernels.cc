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
    computes("abs", lower_unary, elementwise_token_axis),
    computes("acos", lower_unary, elementwise_token_axis),
    computes("add", lower_binary, elementwise_token_axis),
    computes("affine", lower_affine, no_token_axis),
    moves("argsort", lower_argsort, no_token_axis),
    computes("asin", lower_unary, elementwise_token_axis),
    computes("atan", lower_unary, elementwise_token_axis),
    computes("atanh", lower_unary, elementwise_token_axis),
    computes("avg_pool", lower_pool, no_token_axis),
    moves("band_part", lower_band_part, no_token_axis),
    computes("batch_norm", lower_batch_norm, no_token_axis),
    moves("batch_to_space", lower_blocks, no_token_axis),
    computes("cast", lower_cast, elementwise_token_axis),
    computes("ceil", lower_unary, elementwise_token_axis),
    computes("clamped_relu", lower_unary, elementwise_token_axis),
    computes("clip", lower_unary, elementwise_token_axis),
    moves("concat", lower_concat, concat_token_axis),
    on_demand("constexpr_blockwise_shift_scale", lower_constexpr_blockwise_shift_scale,
              no_token_axis),
    on_demand("constexpr_lut_to_dense", lower_constexpr_lut_to_dense, no_token_axis),
    computes("conv", lower_conv, no_token_axis),
    computes("conv_transpose", lower_conv_transpose, no_token_axis),
    computes("cos", lower_unary, elementwise_token_axis),
    computes("cosh", lower_unary, elementwise_token_axis),
    computes("cpu.attention", lower_cpu_attention, attention_token_axis),
    computes("cpu.geglu", lower_cpu_geglu, elementwise_token_axis),
    computes("cpu.linear", lower_cpu_linear, row_token_axis),
    computes("cpu.rms_norm", lower_cpu_rms_norm, row_token_axis),
    computes("cpu.rope", lower_cpu_rope, row_token_axis),
    computes("cpu.swiglu", lower_cpu_swiglu, elementwise_token_axis),
    moves("crop", lower_crop, no_token_axis),
    computes("crop_resize", lower_crop_resize, no_token_axis),
    computes("cumsum", lower_cumsum, no_token_axis),
    moves("depth_to_space", lower_blocks, no_token_axis),
    moves("diptych.graph_break", lower_graph_break, passed_token_axis),
    computes("einsum", lower_einsum, no_token_axis),
    computes("elu", lower_unary, elementwise_token_axis),
    computes("equal", lower_binary, elementwise_token_axis),
    computes("erf", lower_unary, elementwise_token_axis),
    computes("exp", lower_unary, elementwise_token_axis),
    computes("exp2", lower_unary, elementwise_token_axis),
    moves("expand_dims", lower_reshape, reshape_token_axis),
    moves("fill", lower_fill, no_token_axis),
    moves("fill_like", lower_fill, no_token_axis),
    moves("flatten2d", lower_reshape, reshape_token_axis),
    computes("floor", lower_unary, elementwise_token_axis),
    computes("floor_div", lower_binary, elementwise_token_axis),
    moves("gather", lower_gather, gather_token_axis),
    moves("gather_along_axis", lower_gather_along_axis, no_token_axis),
    moves("gather_nd", lower_gather_nd, no_token_axis),
    computes("gelu", lower_gelu, elementwise_token_axis),
    computes("greater", lower_binary, elementwise_token_axis),
    computes("greater_equal", lower_binary, elementwise_token_axis),
    computes("gru", lower_gru, no_token_axis),
    moves("identity", lower_reshape, reshape_token_axis),
    computes("instance_norm", lower_instance_norm, no_token_axis),
    computes("inverse", lower_unary, elementwise_token_axis),
    computes("l2_norm", lower_l2_norm, no_token_axis),
    computes("l2_pool", lower_pool, no_token_axis),
    computes("layer_norm", lower_layer_norm, no_token_axis),
    computes("leaky_relu", lower_unary, elementwise_token_axis),
    computes("less", lower_binary, elementwise_token_axis),
    computes("less_equal", lower_binary, elementwise_token_axis),
    computes("linear", lower_linear, row_token_axis),
    computes("linear_activation", lower_unary, elementwise_token_axis),
    computes("local_response_norm", lower_local_response_norm, no_token_axis),
    computes("log", lower_unary, elementwise_token_axis),
    computes("logical_and", lower_binary, elementwise_token_axis),
    computes("logical_not", lower_unary, elementwise_token_axis),
    computes("logical_or", lower_binary, elementwise_token_axis),
    computes("logical_xor", lower_binary, elementwise_token_axis),
    computes("lstm", lower_lstm, no_token_axis),
    computes("matmul", lower_matmul, matmul_token_axis),
    computes("max_pool", lower_pool, no_token_axis),
    computes("maximum", lower_binary, elementwise_token_axis),
    computes("minimum", lower_binary, elementwise_token_axis),
    computes("mod", lower_binary, elementwise_token_axis),
    computes("mul", lower_binary, elementwise_token_axis),
    computes("not_equal", lower_binary, elementwise_token_axis),
    moves("one_hot", lower_one_hot, no_token_axis),
    moves("pad", lower_pad, no_token_axis),
    moves("pixel_shuffle", lower_blocks, no_token_axis),
    moves("pixel_unshuffle", lower_blocks, no_token_axis),
    computes("pow", lower_binary, elementwise_token_axis),
    computes("prelu", lower_channels, no_token_axis),
    computes("range_1d", lower_range_1d, no_token_axis),
    computes("real_div", lower_binary, elementwise_token_axis),
    computes("reduce_argmax", lower_reduce_arg, no_token_axis),
    computes("reduce_argmin", lower_reduce_arg, no_token_axis),
    computes("reduce_l1_norm", lower_reduce, reduce_token_axis),
    computes("reduce_l2_norm", lower_reduce, reduce_token_axis),
    computes("reduce_log_sum", lower_reduce, reduce_token_axis),
    computes("reduce_log_sum_exp", lower_reduce, reduce_token_axis),
    computes("reduce_max", lower_reduce, reduce_token_axis),
    computes("reduce_mean", lower_reduce, reduce_token_axis),
    computes("reduce_min", lower_reduce, reduce_token_axis),
    computes("reduce_prod", lower_reduce, reduce_token_axis),
    computes("reduce_sum", lower_reduce, reduce_token_axis),
    computes("reduce_sum_square", lower_reduce, reduce_token_axis),
    computes("relu", lower_unary, elementwise_token_axis),
    computes("relu6", lower_unary, elementwise_token_axis),
    computes("resample", lower_resample, no_token_axis),
    moves("reshape", lower_reshape, reshape_token_axis),
    moves("reshape_like", lower_reshape, reshape_token_axis),
    computes("resize", lower_resize, no_token_axis),
    computes("resize_bilinear", lower_resize, no_token_axis),
    moves("resize_nearest_neighbor", lower_resize, no_token_axis),
    moves("reverse", lower_reverse, no_token_axis),
    moves("reverse_sequence", lower_reverse_sequence, no_token_axis),
    computes("rnn", lower_rnn, no_token_axis),
    computes("round", lower_unary, elementwise_token_axis),
    computes("rsqrt", lower_unary, elementwise_token_axis),
    computes("scaled_dot_product_attention", lower_attention, no_token_axis),
    computes("scaled_tanh", lower_unary, elementwise_token_axis),
    computes("scatter", lower_scatter, no_token_axis),
    computes("scatter_along_axis", lower_scatter_along_axis, no_token_axis),
    computes("scatter_nd", lower_scatter_nd, no_token_axis),
    moves("select", lower_select, elementwise_token_axis),
    moves("shape", lower_shape, no_token_axis),
    computes("sigmoid", lower_unary, elementwise_token_axis),
    computes("sigmoid_hard", lower_unary, elementwise_token_axis),
    computes("sign", lower_unary, elementwise_token_axis),
    computes("silu", lower_unary, elementwise_token_axis),
    computes("sin", lower_unary, elementwise_token_axis),
    computes("sinh", lower_unary, elementwise_token_axis),
    moves("slice_by_index", lower_slice_by_index, slice_token_axis),
    moves("slice_by_size", lower_slice_by_size, no_token_axis),
    moves("slice_update", lower_slice_update, no_token_axis),
    moves("sliding_windows", lower_sliding_windows, no_token_axis),
    computes("softmax", lower_softmax, row_token_axis),
    computes("softplus", lower_unary, elementwise_token_axis),
    computes("softplus_parametric", lower_channels, no_token_axis),
    computes("softsign", lower_unary, elementwise_token_axis),
    moves("space_to_batch", lower_blocks, no_token_axis),
    moves("space_to_depth", lower_blocks, no_token_axis),
    moves("split", lower_split, row_token_axis),
    computes("sqrt", lower_unary, elementwise_token_axis),
    computes("square", lower_unary, elementwise_token_axis),
    moves("squeeze", lower_reshape, reshape_token_axis),
    moves("stack", lower_stack, stack_token_axis),
    computes("sub", lower_binary, elementwise_token_axis),
    computes("tan", lower_unary, elementwise_token_axis),
    computes("tanh", lower_unary, elementwise_token_axis),
    computes("threshold", lower_unary, elementwise_token_axis),
    computes("thresholded_relu", lower_unary, elementwise_token_axis),
    moves("tile", lower_tile, no_token_axis),
    moves("topk", lower_topk, no_token_axis),
    moves("transpose", lower_transpose, transpose_token_axis),
    computes("upsample_bilinear", lower_upsample, no_token_axis),
    moves("upsample_nearest_neighbor", lower_upsample, no_token_axis),
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
