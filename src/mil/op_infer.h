// Type inference for each operation. Private to the op table. infer() has checked the operands
// before it calls these functions: required parameters are bound, single ones to one value, with
// the element types that the table says, and tensors have at most kMaxRank positive dimensions.
#pragma once

#include <vector>

#include "base/error.h"
#include "mil/ir.h"
#include "mil/op_table.h"

namespace diptych::mil {

using Types = std::vector<TensorType>;

// The type of a parameter that is bound.
inline const TensorType& type_of(const Op& op, std::string_view param) {
  return op.operand(param)->type;
}
// The type of a bound operand; an error when its element type is not accepted. For parameters that
// the table leaves to inference.
Result<TensorType> typed_operand(const Op& op, std::string_view param, TypeSet accepted);
// An error unless both operands have the same dtype.
Status expect_same_dtype(std::string_view a, const TensorType& a_type, std::string_view b,
                         const TensorType& b_type);

// op_infer_elementwise.cc
Result<Types> infer_unary(const Op& op);  // x's type; scalar constants beside it
Result<Types> infer_gelu(const Op& op);
Result<Types> infer_channels(const Op& op);    // prelu, softplus_parametric
Result<Types> infer_binary(const Op& op);      // x and y broadcast
Result<Types> infer_comparison(const Op& op);  // the same, giving bool
Result<Types> infer_select(const Op& op);
Result<Types> infer_cast(const Op& op);
Result<Types> infer_softmax(const Op& op);
Result<Types> infer_graph_break(const Op& op);

// op_infer_constexpr.cc; flat: of iOS 16, with the shape beside the bytes
Result<Types> infer_constexpr_affine_dequantize(const Op& op);
Result<Types> infer_constexpr_blockwise_shift_scale(const Op& op);
Result<Types> infer_constexpr_cast(const Op& op);
Result<Types> infer_constexpr_lut_to_dense(const Op& op);
Result<Types> infer_constexpr_lut_to_sparse(const Op& op);
Result<Types> infer_constexpr_sparse_blockwise_shift_scale(const Op& op);
Result<Types> infer_constexpr_sparse_to_dense(const Op& op);
Result<Types> infer_flat_lut_to_dense(const Op& op);
Result<Types> infer_flat_sparse_to_dense(const Op& op);
Result<Types> infer_quantize(const Op& op);
Result<Types> infer_dequantize(const Op& op);

// op_infer_contract.cc
Result<Types> infer_linear(const Op& op);
Result<Types> infer_matmul(const Op& op);
Result<Types> infer_einsum(const Op& op);
Result<Types> infer_attention(const Op& op);

// op_infer_reduce.cc
Result<Types> infer_reduce(const Op& op);
Result<Types> infer_reduce_arg(const Op& op);
Result<Types> infer_cumsum(const Op& op);
Result<Types> infer_argsort(const Op& op);
Result<Types> infer_topk(const Op& op);

// op_infer_window.cc
Result<Types> infer_conv(const Op& op);
Result<Types> infer_conv_quantized(const Op& op);
Result<Types> infer_conv_transpose(const Op& op);
Result<Types> infer_pool(const Op& op);

// op_infer_layout.cc
Result<Types> infer_concat(const Op& op);
Result<Types> infer_expand_dims(const Op& op);
Result<Types> infer_flatten2d(const Op& op);
Result<Types> infer_reshape(const Op& op);
Result<Types> infer_reshape_like(const Op& op);
Result<Types> infer_split(const Op& op);
Result<Types> infer_squeeze(const Op& op);
Result<Types> infer_stack(const Op& op);
Result<Types> infer_transpose(const Op& op);

// op_infer_slice.cc
Result<Types> infer_slice_by_index(const Op& op);
Result<Types> infer_slice_by_size(const Op& op);
Result<Types> infer_slice_update(const Op& op);
Result<Types> infer_crop(const Op& op);
Result<Types> infer_pad(const Op& op);
Result<Types> infer_reverse(const Op& op);
Result<Types> infer_reverse_sequence(const Op& op);
Result<Types> infer_sliding_windows(const Op& op);
Result<Types> infer_tile(const Op& op);
Result<Types> infer_band_part(const Op& op);
Result<Types> infer_blocks(const Op& op);  // depth_to_space and its like

// op_infer_gather.cc
Result<Types> infer_gather(const Op& op);
Result<Types> infer_gather_along_axis(const Op& op);
Result<Types> infer_gather_nd(const Op& op);
Result<Types> infer_scatter(const Op& op);
Result<Types> infer_scatter_along_axis(const Op& op);
Result<Types> infer_scatter_nd(const Op& op);

// op_infer_resize.cc
Result<Types> infer_upsample(const Op& op);
Result<Types> infer_resize_to(const Op& op);  // resize_bilinear, resize_nearest_neighbor
Result<Types> infer_resize(const Op& op);
Result<Types> infer_crop_resize(const Op& op);
Result<Types> infer_resample(const Op& op);
Result<Types> infer_affine(const Op& op);

// op_infer_detect.cc
Result<Types> infer_classify(const Op& op);
// By rows: coordinates and classes stand before the boxes.
Result<Types> infer_non_maximum_suppression(const Op& op);
Result<Types> infer_suppression_by_rows(const Op& op);

// op_infer_norm.cc
Result<Types> infer_batch_norm(const Op& op);
Result<Types> infer_instance_norm(const Op& op);
Result<Types> infer_layer_norm(const Op& op);
Result<Types> infer_l2_norm(const Op& op);
Result<Types> infer_local_response_norm(const Op& op);

// op_infer_fill.cc
Result<Types> infer_fill(const Op& op);
Result<Types> infer_fill_like(const Op& op);
Result<Types> infer_one_hot(const Op& op);
Result<Types> infer_random(const Op& op);  // bernoulli, normal, uniform
Result<Types> infer_random_categorical(const Op& op);
Result<Types> infer_range_1d(const Op& op);
Result<Types> infer_shape(const Op& op);

// op_infer_recurrent.cc
Result<Types> infer_recurrent(const Op& op);
Result<Types> infer_lstm(const Op& op);

// op_infer_fused.cc
Result<Types> infer_cpu_attention(const Op& op);
Result<Types> infer_cpu_linear(const Op& op);
Result<Types> infer_cpu_rms_norm(const Op& op);
Result<Types> infer_cpu_rope(const Op& op);
Result<Types> infer_cpu_gated(const Op& op);

}  // namespace diptych::mil
