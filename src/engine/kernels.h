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
#include "engine/padding.h"
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
  PaddingRule skips_padding = nullptr;  // null: it reads all that its operands have
};

// Sorted by operation.
std::span<const Kernel> kernels();
// Null for an operation that the engine does not run.
const Kernel* find_kernel(std::string_view op);

// reference/elementwise.cc
Status lower_unary(const mil::Op& op, Lowering& lowering);  // functions of one element
Status lower_gelu(const mil::Op& op, Lowering& lowering);
Status lower_channels(const mil::Op& op, Lowering& lowering);  // with constants for each channel
Status lower_binary(const mil::Op& op, Lowering& lowering);    // functions of two elements
Status lower_cast(const mil::Op& op, Lowering& lowering);
Status lower_select(const mil::Op& op, Lowering& lowering);

// reference/shape.cc
Status lower_concat(const mil::Op& op, Lowering& lowering);
Status lower_graph_break(const mil::Op& op, Lowering& lowering);
Status lower_reshape(const mil::Op& op, Lowering& lowering);  // whatever keeps the order
Status lower_split(const mil::Op& op, Lowering& lowering);
Status lower_stack(const mil::Op& op, Lowering& lowering);
Status lower_transpose(const mil::Op& op, Lowering& lowering);

// reference/rearrange.cc
Status lower_band_part(const mil::Op& op, Lowering& lowering);
Status lower_blocks(const mil::Op& op, Lowering& lowering);  // depth_to_space and its like
Status lower_crop(const mil::Op& op, Lowering& lowering);
Status lower_pad(const mil::Op& op, Lowering& lowering);
Status lower_reverse(const mil::Op& op, Lowering& lowering);
Status lower_reverse_sequence(const mil::Op& op, Lowering& lowering);
Status lower_slice_by_index(const mil::Op& op, Lowering& lowering);
Status lower_slice_by_size(const mil::Op& op, Lowering& lowering);
Status lower_slice_update(const mil::Op& op, Lowering& lowering);
Status lower_sliding_windows(const mil::Op& op, Lowering& lowering);
Status lower_tile(const mil::Op& op, Lowering& lowering);

// reference/reduce.cc, sort.cc, normalise.cc
Status lower_reduce(const mil::Op& op, Lowering& lowering);
Status lower_reduce_arg(const mil::Op& op, Lowering& lowering);
Status lower_classify(const mil::Op& op, Lowering& lowering);
Status lower_softmax(const mil::Op& op, Lowering& lowering);
Status lower_cumsum(const mil::Op& op, Lowering& lowering);
Status lower_argsort(const mil::Op& op, Lowering& lowering);
Status lower_topk(const mil::Op& op, Lowering& lowering);
Status lower_batch_norm(const mil::Op& op, Lowering& lowering);
Status lower_instance_norm(const mil::Op& op, Lowering& lowering);
Status lower_l2_norm(const mil::Op& op, Lowering& lowering);
Status lower_layer_norm(const mil::Op& op, Lowering& lowering);
Status lower_local_response_norm(const mil::Op& op, Lowering& lowering);

// conv.cc
Status lower_conv(const mil::Op& op, Lowering& lowering);  // and conv_quantized

// conv_transpose.cc
Status lower_conv_transpose(const mil::Op& op, Lowering& lowering);

// banded.cc
Status lower_banded_conv(const mil::Op& op, Lowering& lowering);  // where Bands suit it
Status lower_pool(const mil::Op& op, Lowering& lowering);

// reference/window.cc
Status lower_plain_conv(const mil::Op& op, Lowering& lowering);
Status lower_plain_conv_transpose(const mil::Op& op, Lowering& lowering);
Status lower_plain_pool(const mil::Op& op, Lowering& lowering);

// reference/gather_scatter.cc
Status lower_gather_batches(const mil::Op& op, Lowering& lowering);
Status lower_gather_along_axis(const mil::Op& op, Lowering& lowering);
Status lower_gather_nd(const mil::Op& op, Lowering& lowering);
Status lower_scatter(const mil::Op& op, Lowering& lowering);
Status lower_scatter_along_axis(const mil::Op& op, Lowering& lowering);
Status lower_scatter_nd(const mil::Op& op, Lowering& lowering);

// reference/quantize.cc
Status lower_quantize(const mil::Op& op, Lowering& lowering);
Status lower_dequantize(const mil::Op& op, Lowering& lowering);

// reference/detect.cc
Status lower_non_maximum_suppression(const mil::Op& op, Lowering& lowering);

// reference/resize.cc
Status lower_affine(const mil::Op& op, Lowering& lowering);
Status lower_crop_resize(const mil::Op& op, Lowering& lowering);
Status lower_resample(const mil::Op& op, Lowering& lowering);
Status lower_resize(const mil::Op& op, Lowering& lowering);
Status lower_upsample(const mil::Op& op, Lowering& lowering);

// reference/fill.cc
Status lower_fill(const mil::Op& op, Lowering& lowering);
Status lower_one_hot(const mil::Op& op, Lowering& lowering);
Status lower_range_1d(const mil::Op& op, Lowering& lowering);
Status lower_shape(const mil::Op& op, Lowering& lowering);

// reference/random.cc
Status lower_random_bernoulli(const mil::Op& op, Lowering& lowering);
Status lower_random_categorical(const mil::Op& op, Lowering& lowering);
Status lower_random_normal(const mil::Op& op, Lowering& lowering);
Status lower_random_uniform(const mil::Op& op, Lowering& lowering);

// reference/recurrent.cc
Status lower_gru(const mil::Op& op, Lowering& lowering);
Status lower_lstm(const mil::Op& op, Lowering& lowering);
Status lower_rnn(const mil::Op& op, Lowering& lowering);

// linear.cc
Status lower_linear(const mil::Op& op, Lowering& lowering);
Status lower_cpu_linear(const mil::Op& op, Lowering& lowering);

// reference/contract.cc
Status lower_attention(const mil::Op& op, Lowering& lowering);
Status lower_einsum(const mil::Op& op, Lowering& lowering);
Status lower_plain_linear(const mil::Op& op, Lowering& lowering);  // of integers, or mixed types
Status lower_matmul(const mil::Op& op, Lowering& lowering);

// fused/: attention.cc, rows.cc
Status lower_cpu_attention(const mil::Op& op, Lowering& lowering);
Status lower_cpu_rms_norm(const mil::Op& op, Lowering& lowering);
Status lower_cpu_rope(const mil::Op& op, Lowering& lowering);
Status lower_cpu_geglu(const mil::Op& op, Lowering& lowering);
Status lower_cpu_swiglu(const mil::Op& op, Lowering& lowering);

// reference/weights.cc
Status lower_constexpr(const mil::Op& op, Lowering& lowering);
Status lower_gather(const mil::Op& op, Lowering& lowering);

}  // namespace diptych::engine
