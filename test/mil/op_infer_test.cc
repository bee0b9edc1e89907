// Type inference, written in the text form: the parser infers and compares.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "mil/op_table.h"
#include "mil/text.h"
#include "testing/shared_data.h"

namespace diptych::mil {
namespace {

using ::testing::HasSubstr;

// One operation over the inputs below.
constexpr std::string_view kInputs =
    "%h: fp16[1,8,64], %h2: fp16[1,8,32], %f: fp32[2,3,4], %g: fp32[4], %s: fp16, %wide: fp16[64], "
    "%i: int32[1,8], %j: int16[5], %b: bool[1,8], %u: uint8[3], %one: fp32[1,3,1], %l: int64[2]";

// A statement in a function of an opset. "fp32[2,3]iota" stands for a constant 0, 1, 2, …
Result<Program> parse_in(std::string_view opset, std::string_view statement) {
  static const std::regex kIota("([a-z0-9]+\\[[0-9,]+\\])iota");
  std::string text(statement), constants;
  std::smatch found;
  for (int i = 0; std::regex_search(text, found, kIota); ++i) {
    constants += fmt::format("%iota{}: {} = iota\n", i, found[1].str());
    text = found.prefix().str() + fmt::format("%iota{}", i) + found.suffix().str();
  }
  return parse(fmt::format("func @t({}) opset \"{}\" {{\n{}{}\nreturn\n}}", kInputs, opset,
                           constants, text));
}

Result<Program> parse_statement(std::string_view statement) {
  return parse_in("CoreML8", statement);
}

struct Case {
  std::string_view type;  // of %r; the declared types follow for more results
  std::string_view op;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.op; }

class Infers : public ::testing::TestWithParam<Case> {};

TEST_P(Infers, TheDeclaredType) {
  const auto& [type, op] = GetParam();
  ASSERT_OK(parse_statement(fmt::format("%r: {} = {}", type, op)));
}

constexpr Case kGood[] = {
    // Elementwise
    {"fp16[1,8,64]", "mul(x=%h, y=%h)"},
    {"fp16[1,8,64]", "add(x=%h, y=%wide)"},
    {"fp16[1,8,64]", "add(x=%s, y=%h)"},
    {"fp32[2,3,4]", "sub(x=%one, y=%f)"},
    {"fp32[1,3,4]", "real_div(x=%one, y=%g)"},
    {"int32[1,8]", "add(x=%i, y=int32(320))"},
    {"bool[1,8]", "greater_equal(x=%i, y=int32(0))"},
    {"int32[1,8]", "select(cond=%b, a=%i, b=int32(7))"},
    {"fp16[1,8,64]", "rsqrt(x=%h, epsilon=fp32(1e-12))"},
    {"fp16[1,8,64]", "rsqrt(x=%h)"},
    {"fp32[2,3,4]", "abs(x=%f)"},
    {"fp32[2,3,4]", "sqrt(x=%f)"},
    {"fp32[2,3,4]", "square(x=%f)"},
    {"fp16[1,8,64]", "silu(x=%h)"},
    {"fp16[1,8,64]", "sigmoid(x=%h)"},
    {"fp16[1,8,64]", "softmax(x=%h, axis=int32(-1))"},
    {"int16[1,8]", "cast(x=%i, dtype=\"int16\")"},
    {"fp32[1,8]", "cast(x=%b, dtype=\"fp32\")"},
    // Contractions
    {"fp32[2,3,1]", "reduce_mean(x=%f, axes=int32[1](-1), keep_dims=bool(true))"},
    {"fp32[3]", "reduce_max(x=%f, axes=int32[2](0,-1), keep_dims=bool(false))"},
    {"fp32", "reduce_sum(x=%f)"},
    {"fp32[2,3,4]", "reduce_sum(x=%f, axes=int32[0]())"},
    {"fp32[2,3,7]",
     "linear(x=%f, weight=fp32[7,4](0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
     "0,0,0,0), bias=fp32[7](0,0,0,0,0,0,0))"},
    {"fp32[2]", "linear(x=%g, weight=fp32[2,4](1,2,3,4,5,6,7,8))"},
    {"fp32[2,3,3]", "matmul(x=%f, y=%f, transpose_x=bool(false), transpose_y=bool(true))"},
    {"fp32[2,3,2]", "matmul(x=%f, y=fp32[1,4,2](0,0,0,0,0,0,0,0))"},
    {"fp16[2,4]",
     "constexpr_blockwise_shift_scale(data=int4[2,4](-8,7,0,1,2,3,4,5), "
     "scale=fp16[2,2](1,2,3,4), offset=int4[2,2](0,0,0,0))"},
    {"fp16[4,2]",
     "constexpr_lut_to_dense(indices=uint1[4,2](0,1,1,0,1,1,0,0), "
     "lut=fp16[2,1,2,1](1,2,3,4), vector_axis=int32(-1))"},
    {"int8[2]", "constexpr_lut_to_dense(indices=uint2[2](0,3), lut=int8[1,4,1](1,2,3,4))"},
    {"fp32[2,4]",
     "constexpr_lut_to_dense(indices=uint1[2,2](0,1,1,0), lut=fp32[1,1,2,2](1,2,3,4), "
     "vector_axis=int32(1))"},
    {"fp16[2,2]", "constexpr_sparse_to_dense(nonzero_data=fp16[1](2), mask=uint1[2,2](0,0,1,0))"},
    {"int8[4]", "quantize(input=%g, scale=fp32(1), output_dtype=\"int8\")"},
    {"fp16[3]", "dequantize(input=%u, scale=fp16(1), zero_point=uint8(3))"},
    // Layout
    {"fp16[1,8,96]", "concat(values=[%h, %h2], axis=int32(-1), interleave=bool(false))"},
    {"fp16[1,8,64]", "concat(values=[%h], axis=int32(2))"},
    {"fp16[1,8,64,2]", "stack(values=[%h, %h], axis=int32(-1))"},
    {"fp16[3]", "stack(values=[%s, %s, %s], axis=int32(0))"},
    {"fp16[1,8,4,16]", "reshape(x=%h, shape=int32[4](1,8,4,16))"},
    {"fp16[8,64]", "reshape(x=%h, shape=int32[2](8,-1))"},
    {"fp16[8,1,64]", "reshape(x=%h, shape=int32[3](-1,1,0))"},
    {"fp16[1,1,8,64]", "reshape(x=%h, shape=int32[4](0,-1,0,0))"},
    {"fp32[4,2,3]", "transpose(x=%f, perm=int32[3](2,0,-2))"},
    {"fp32[2,1,3,4,1]", "expand_dims(x=%f, axes=int32[2](-1,1))"},
    {"fp32[3]", "squeeze(x=%one)"},
    {"fp32[3,1]", "squeeze(x=%one, axes=int32[2](0,1))"},
    {"fp16[1,8,32]",
     "slice_by_index(x=%h, begin=int32[3](0,0,1), end=int32[3](1,8,1), "
     "stride=int32[3](1,1,2), end_mask=bool[3](true,true,true))"},
    {"fp16[1,2,64]",
     "slice_by_index(x=%h, begin=int32[3](0,-2,0), end=int32[3](1,100,-1), "
     "end_mask=bool[3](false,false,true))"},
    {"fp16[8]",
     "slice_by_index(x=%h, begin=int32[3](0,0,-1), end=int32[3](0,8,0), "
     "squeeze_mask=bool[3](true,false,true))"},
    {"fp32[4]",
     "slice_by_index(x=%g, begin=int32[1](3), end=int32[1](0), stride=int32[1](-1), "
     "end_mask=bool[1](true))"},
    {"fp32[2]", "slice_by_index(x=%g, begin=int32[1](-1), end=int32[1](0), stride=int32[1](-2))"},
    {"fp16[1,1,64]", "gather(x=%h, indices=int32[1,1](3), axis=int32(1), batch_dims=int32(1))"},
    {"fp32[2,5,4]",
     "gather(x=%f, indices=%j, axis=int32(1), batch_dims=int32(0), "
     "validate_indices=bool(false))"},
    {"fp32[3,4]", "gather(x=%f, indices=int32(1))"},
    {"fp16[1,8,32], %r2: fp16[1,8,32]", "split(x=%h, axis=int32(2), num_splits=int32(2))"},
    {"fp32[2,1,4], %r2: fp32[2,2,4]", "split(x=%f, axis=int32(-2), split_sizes=int32[2](1,2))"},
    // Functions of one and of two elements
    {"fp32[2,3,4]", "clip(x=%f, alpha=fp32(0), beta=fp32(1))"},
    {"fp16[1,8,64]", "gelu(x=%h, mode=\"TANH_APPROXIMATION\")"},
    {"int32[1,8]", "threshold(x=%i, alpha=int32(3))"},
    {"fp32[2,3,4]", "prelu(x=%f, alpha=fp32[3](1,2,3))"},
    {"bool[1,8]", "logical_not(x=%b)"},
    {"bool[1,8]", "logical_xor(x=%b, y=%b)"},
    {"bool[2,3,4]", "less(x=%f, y=%g)"},
    {"int32[1,8]", "floor_div(x=%i, y=int32(3))"},
    {"int16[5]", "identity(x=%j)"},
    // Rows
    {"int32[2,3]", "reduce_argmax(x=%f)"},
    {"uint16[2,1,4]",
     "reduce_argmin(x=%f, axis=int32(1), keep_dims=bool(true), output_dtype=\"uint16\")"},
    {"int32[1]", "reduce_prod(x=%i, axes=int32[1](-1))"},
    {"fp32[2,3,4]", "cumsum(x=%f, axis=int32(-1), exclusive=bool(true), reverse=bool(false))"},
    {"int32[2,3,4]", "argsort(x=%f, axis=int32(0))"},
    {"fp32[2,3,2], %r2: int32[2,3,2]", "topk(x=%f, k=int32(2))"},
    {"fp32[2,3,4]", "topk(x=%f, k=int32(-1), return_indices=bool(false))"},
    {"fp32[2,3,4]",
     "batch_norm(x=%f, mean=fp32[3](0,0,0), variance=fp32[3](1,1,1), epsilon=fp32(0.1))"},
    {"fp32[2,3,4]", "instance_norm(x=%f, gamma=fp32[3](1,1,1))"},
    {"fp32[2,3,4]", "layer_norm(x=%f, axes=int32[1](2), beta=%g)"},
    {"fp32[2,3,4]", "l2_norm(x=%f, epsilon=fp32(0.1))"},
    {"fp32[2,3,4]", "local_response_norm(x=%f, size=int32(3))"},
    // Products
    {"fp32[2,1]", "matmul(x=%g, y=fp32[2,4,1](1,2,3,4,5,6,7,8))"},
    {"fp16[1,8,8]", "matmul(x=%h, y=fp32[64,8]iota)"},
    {"fp32[2,3,4]", "einsum(values=[%f, fp32[4,3,4]iota], equation=\"chw,whr->chr\")"},
    {"fp16[1,8,32]", "scaled_dot_product_attention(query=%h, key=%h, value=%h2, attn_mask=%b)"},
    {"fp32[2,6,2]", "conv(x=%f, weight=fp32[6,3,3]iota, strides=int32[1](1))"},
    {"fp32[2,3,2]",
     "conv(x=%f, weight=fp32[3,1,2]iota, groups=int32(3), strides=int32[1](2), "
     "pad_type=\"same\")"},
    {"fp32[2,1,3]",
     "conv(x=%f, weight=fp32[1,3,2]iota, pad_type=\"custom\", pad=int32[2](1,0), "
     "dilations=int32[1](2))"},
    {"fp32[2,5,9]", "conv_transpose(x=%f, weight=fp32[3,5,3]iota, strides=int32[1](2))"},
    {"fp32[2,5,8]",
     "conv_transpose(x=%f, weight=fp32[3,5,3]iota, strides=int32[1](2), pad_type=\"same\")"},
    {"fp32[2,5,10]",
     "conv_transpose(x=%f, weight=fp32[3,5,3]iota, strides=int32[1](2), "
     "output_shape=int32[3](2,5,10))"},
    {"fp32[2,3,2]",
     "max_pool(x=%f, kernel_sizes=int32[1](3), strides=int32[1](2), pad_type=\"valid\", "
     "ceil_mode=bool(true))"},
    {"fp32[2,3,3]",
     "avg_pool(x=%f, kernel_sizes=int32[1](2), strides=int32[1](2), pad_type=\"custom\", "
     "pad=int32[2](1,1), exclude_padding_from_average=bool(true))"},
    {"fp32[2,6,2]",
     "conv_quantized(x=%f, weight=uint8[6,3,3]iota, quantization_type=\"linear\", "
     "nbits=int32(4), quant_scale=fp32[6]iota, quant_bias=fp32(0))"},
    // Recurrent
    {"fp32[1,3,2], %r2: fp32[3,2]",
     "rnn(x=%f, initial_h=fp32[3,2]iota, weight_ih=fp32[2,4]iota, weight_hh=fp32[2,2]iota)"},
    {"fp32[2,3,2], %r2: fp32[3,2]",
     "gru(x=%f, initial_h=fp32[3,2]iota, weight_ih=fp32[6,4]iota, weight_hh=fp32[6,2]iota, "
     "output_sequence=bool(true), reset_after=bool(true))"},
    {"fp32[1,3,4], %r2: fp32[3,4], %r3: fp32[3,4]",
     "lstm(x=%f, initial_h=fp32[3,4]iota, initial_c=fp32[3,4]iota, weight_ih=fp32[8,4]iota, "
     "weight_hh=fp32[8,2]iota, weight_ih_back=fp32[8,4]iota, weight_hh_back=fp32[8,2]iota, "
     "direction=\"bidirectional\")"},
    // Gather and scatter
    {"fp32[2,1,4]", "gather_along_axis(x=%f, indices=int32[2,1,4]iota, axis=int32(1))"},
    {"fp32[5,4]", "gather_nd(x=%f, indices=int32[5,2]iota)"},
    {"fp32[2,4]", "gather_nd(x=%f, indices=int32[2,1]iota, batch_dims=int32(1))"},
    {"fp32[2,3,4]",
     "scatter(data=%f, indices=int32[1](0), updates=fp32[2,1,4]iota, axis=int32(1), "
     "mode=\"update\")"},
    {"fp32[2,3,4]",
     "scatter_along_axis(data=%f, indices=int32[2,3,1]iota, updates=fp32[2,3,1]iota, "
     "axis=int32(-1))"},
    {"fp32[2,3,4]", "scatter_nd(data=%f, indices=int32[1,2](0,1), updates=fp32[1,4]iota)"},
    // Parts of tensors
    {"fp32[6,4]", "flatten2d(x=%f, axis=int32(-1))"},
    {"fp32[1,24]", "flatten2d(x=%f, axis=int32(0))"},
    {"fp32[3,4,2]",
     "reshape_like(x=%f, ref_tensors=[%f, %f], begins=[int32(1), int32(0)], "
     "ends=[int32(0), int32(1)], end_masks=[bool(true), bool(false)])"},
    {"fp32[1,3,2]", "slice_by_size(x=%f, begin=int32[3](1,0,-2), size=int32[3](1,3,-1))"},
    {"fp32[2,3,4]",
     "slice_update(x=%f, update=fp32[1,2]iota, begin=int32[3](0,0,1), end=int32[3](1,1,3), "
     "squeeze_mask=bool[3](true,false,false))"},
    {"fp32[2,1,1]", "crop(x=%f, crop_height=int32[2](1,1), crop_width=int32[2](0,3))"},
    {"fp32[2,4,9]", "pad(x=%f, pad=int32[4](0,1,2,3), mode=\"constant\")"},
    {"uint8[3]", "reverse(x=%u)"},
    {"fp32[2,3,4]", "reverse_sequence(x=%f, lengths=int32[2](1,2), seq_axis=int32(1))"},
    {"fp32[2,3,2,3]", "sliding_windows(x=%f, axis=int32(2), size=int32(3))"},
    {"fp32[2,6,4]", "tile(x=%f, reps=int32[3](1,2,1))"},
    {"fp32[2,3,4]", "band_part(x=%f, lower=int32(0))"},
    // Resizing
    {"fp32[2,6,6]",
     "upsample_bilinear(x=%f, scale_factor_height=fp32(2), scale_factor_width=fp32(1.6))"},
    {"fp32[2,7,1]",
     "resize_bilinear(x=%f, target_size_height=int32(7), sampling_mode=\"ALIGN_CORNERS\")"},
    {"int32[1,5]",
     "resize(x=%i, shape=int32[1](5), resized_dims=uint32(1), "
     "interpolation_mode=\"NEAREST_NEIGHBOR\")"},
    // Made from parameters
    {"int32[2,2]", "fill(shape=int32[2](2,2), value=int32(7))"},
    {"bool[1,8]", "fill_like(ref_tensor=%i, value=bool(true))"},
    {"fp16[1,3,8]",
     "one_hot(indices=%i, one_hot_vector_size=int32(3), axis=int32(1), on_value=fp16(1), "
     "off_value=fp16(0))"},
    {"fp32[3]", "range_1d(start=fp32(0), end=fp32(1.1), step=fp32(0.5))"},
    {"int32[3]", "shape(x=%f)"},
    {"fp16[1,8,64], %r2: int64[2]", "diptych.graph_break(values=[%h, %l])"},
};
INSTANTIATE_TEST_SUITE_P(Ops, Infers, ::testing::ValuesIn(kGood));

struct BadCase {
  std::string_view op;
  std::string_view error;
};

void PrintTo(const BadCase& c, std::ostream* out) { *out << c.op; }

class Refuses : public ::testing::TestWithParam<BadCase> {};

TEST_P(Refuses, WithAReason) {
  const auto& [op, error] = GetParam();
  const auto parsed = parse_statement(fmt::format("%r: fp16 = {}", op));
  ASSERT_FALSE(parsed.has_value());
  EXPECT_THAT(parsed.error().to_string(), HasSubstr(std::string(error)));
}

constexpr BadCase kBad[] = {
    // Parameters
    {"add(x=%h)", "parameter 'y' is missing"},
    {"add(x=%h, y=%h, z=%h)", "unknown parameter 'z'"},
    {"add(x=%h, y=%h, y=%h)", "parameter 'y' is bound twice"},
    {"add(x=[%h, %h], y=%h)", "parameter 'x': expected one value, found 2 values"},
    {"add(x=[], y=%h)", "parameter 'x': expected one value, found 0 values"},
    {"concat(values=[], axis=int32(0))", "expected one or more values, found 0"},
    {"concat(values=[%h], axis=%i)", "expected a constant, found the computed value %i"},
    {"silu(x=\"text\")", "unsuitable type string"},
    {"silu(x=%l)", "unsuitable type int64[2]"},
    // Elementwise
    {"add(x=%h, y=%f)", "expected the same element type"},
    {"add(x=%h, y=%h2)", "shapes [1,8,64] and [1,8,32] do not broadcast"},
    {"select(cond=%i, a=%h, b=%h)", "parameter 'cond'"},
    {"cast(x=%h, dtype=\"complex64\")", "found \"complex64\""},
    {"cast(x=%h, dtype=\"string\")", "found \"string\""},
    {"cast(x=%h, dtype=int32(1))", "expected a string"},
    {"softmax(x=%h, axis=int32(3))", "axis 3 is outside a tensor of rank 3"},
    {"softmax(x=%s, axis=int32(-1))", "axis -1 is outside a tensor of rank 0"},
    {"rsqrt(x=%h, epsilon=int32(1))", "parameter 'epsilon': expected one float"},
    {"rsqrt(x=%h, epsilon=fp32[2](1,2))", "parameter 'epsilon': expected one float"},
    // Contractions
    {"reduce_mean(x=%h, axes=int32[2](-1,2))", "axis 2 is given twice"},
    {"reduce_mean(x=%h, axes=int32[1](-4))", "axis -4 is outside"},
    {"reduce_mean(x=%h, axes=fp16[1](1))", "expected int32 or bool"},
    {"reduce_mean(x=%h, axes=int32[1,1](1))", "expected a scalar or a list"},
    {"reduce_mean(x=%h, keep_dims=int32(1))", "parameter 'keep_dims': expected bool"},
    {"linear(x=%g, weight=fp32[2,3](1,2,3,4,5,6))", "expected [..., in] and [out, in]"},
    {"linear(x=%g, weight=fp32[4](1,2,3,4))", "expected [..., in] and [out, in]"},
    {"linear(x=%g, weight=fp32[1,4](1,2,3,4), bias=fp32[2](0,0))", "expected [1]"},
    {"matmul(x=%f, y=%f)", "the inner sizes differ"},
    {"matmul(x=%f, y=%g)", "expected rank 2 or more"},
    {"matmul(x=%g, y=fp32[4,1](1,2,3,4), transpose_x=bool(true))", "transpose_x of the vector"},
    {"matmul(x=%f, y=%h)", "expected the same element type"},
    {"constexpr_blockwise_shift_scale(data=int8[4](1,2,3,4), scale=fp16[3](1,1,1))",
     "axis 0 is not a whole number of blocks"},
    {"constexpr_blockwise_shift_scale(data=int8[4](1,2,3,4), scale=fp16[0]())",
     "expected positive dimensions, found fp16[0]"},
    {"constexpr_blockwise_shift_scale(data=int8[4](1,2,3,4), scale=fp16(1))", "the same rank"},
    {"constexpr_blockwise_shift_scale(data=int8(1), scale=fp16(1))", "at least 1"},
    {"constexpr_blockwise_shift_scale(data=int8[2](1,2), scale=fp16[2](1,1), offset=int8[1](0))",
     "expected the same shape"},
    {"constexpr_blockwise_shift_scale(data=int8[1](1), scale=fp16[1](1), offset=int4[1](0))",
     "expected the same element type"},
    {"constexpr_blockwise_shift_scale(data=int8[1](1), scale=int8[1](1))", "parameter 'scale'"},
    {"constexpr_lut_to_dense(indices=int4[2](0,3), lut=fp16[1,4,1](1,2,3,4))",
     "parameter 'indices'"},
    {"constexpr_lut_to_dense(indices=uint2[2](0,3), lut=int32[1,4,1](1,2,3,4))", "parameter 'lut'"},
    {"constexpr_lut_to_dense(indices=uint2[2](0,3), lut=fp16[4,1](1,2,3,4))", "two axes more"},
    {"constexpr_lut_to_dense(indices=uint2(0), lut=fp16[4,1](1,2,3,4))", "one at least"},
    {"constexpr_lut_to_dense(indices=uint2[2](0,3), lut=fp16[1,2,1](1,2))", "tables of 4 entries"},
    {"constexpr_lut_to_dense(indices=uint1[2](0,1), lut=fp16[1,2,2](1,2,3,4))",
     "'vector_axis' is missing"},
    {"constexpr_sparse_to_dense(nonzero_data=fp16[3](1,2,3), mask=uint1[2](1,1))",
     "more elements than the mask has"},
    {"constexpr_sparse_to_dense(nonzero_data=%g, mask=uint1[4](1,1,1,1))", "expected a constant"},
    {"quantize(input=%g, scale=fp32[4](1,1,1,1), output_dtype=\"int8\")", "'axis' is missing"},
    {"quantize(input=%g, scale=fp32(1), output_dtype=\"int4\")", "expected int8 or uint8"},
    {"dequantize(input=%u, scale=fp16(1), zero_point=int8(3))", "same element type"},
    {"non_maximum_suppression(boxes=%f, scores=%f, iou_threshold=fp32(0.5), max_boxes=int32(1))",
     "[n, 4, boxes]"},
    {"constexpr_lut_to_dense(indices=uint1[3](0,1,1), lut=fp16[2,2,1](1,2,3,4))",
     "axis 0 is not a whole number of blocks"},
    {"constexpr_lut_to_dense(indices=uint1[2](0,1), lut=fp16[1,2,1](1,2), vector_axis=int32(1))",
     "axis 1 is outside a tensor of rank 1"},
    // Layout
    {"concat(values=[%h, %f], axis=int32(0))", "expected the same element type"},
    {"concat(values=[%h, %h2], axis=int32(1))", "cannot concatenate"},
    {"concat(values=[%h, %wide], axis=int32(0))", "cannot concatenate"},
    {"concat(values=[%s], axis=int32(0))", "axis 0 is outside a tensor of rank 0"},
    {"concat(values=[%h, %h2], axis=int32(2), interleave=bool(true))", "cannot concatenate"},
    {"stack(values=[%h, %h2], axis=int32(0))", "the shapes differ"},
    {"stack(values=[%h], axis=int32(4))", "axis 4 is outside a tensor of rank 4"},
    {"reshape(x=%h, shape=int32[2](-1,-1))", "cannot reshape"},
    {"reshape(x=%h, shape=int32[2](-1,7))", "cannot reshape"},
    {"reshape(x=%h, shape=int32[2](-2,-256))", "cannot reshape"},
    {"reshape(x=%h, shape=int32[3](2147483647,2147483647,2147483647))", "cannot reshape"},
    {"reshape(x=%h, shape=int32[9](1,1,1,1,1,1,1,8,64))", "rank 9 is more than 8"},
    {"transpose(x=%h, perm=int32[2](0,1))", "one entry for each of the 3 axes, found 2"},
    {"transpose(x=%h, perm=int32[3](0,1,1))", "axis 1 is given twice"},
    {"expand_dims(x=%h, axes=int32[1](4))", "axis 4 is outside a tensor of rank 4"},
    {"squeeze(x=%h, axes=int32[1](3))", "axis 3 is outside"},
    {"slice_by_index(x=%g, begin=int32[1](2), end=int32[1](2))", "is empty"},
    {"slice_by_index(x=%g, begin=int32[1](0), end=int32[1](4), stride=int32[1](0))",
     "parameter 'stride': 0"},
    {"slice_by_index(x=%g, begin=int32[1](4), end=int32[1](4), squeeze_mask=bool[1](true))",
     "index 4 is outside axis 0 of size 4"},
    {"slice_by_index(x=%f, begin=int32[1](0), end=int32[1](1))",
     "one entry for each of the 3 axes"},
    {"gather(x=%h, indices=%h)", "parameter 'indices'"},
    {"gather(x=%s, indices=%i)", "axis 0 is outside a tensor of rank 0"},
    {"gather(x=%h, indices=%i, axis=int32(1), batch_dims=int32(2))", "parameter 'batch_dims'"},
    {"gather(x=%h, indices=%i, axis=int32(1), batch_dims=int32(-1))", "parameter 'batch_dims'"},
    {"gather(x=%f, indices=%i, axis=int32(1), batch_dims=int32(1))", "parameter 'batch_dims'"},
    {"split(x=%h, axis=int32(2), num_splits=int32(0))", "0 does not divide"},
    {"split(x=%h, axis=int32(2), num_splits=int32(3))", "3 does not divide"},
    {"split(x=%h, axis=int32(2))", "parameter 'num_splits': missing"},
    {"split(x=%h, axis=int32(2), split_sizes=int32[2](1,2))", "the sum is 3"},
    {"split(x=%h, axis=int32(2), split_sizes=int32[2](65,-1))", "expected positive sizes"},
    {"split(x=%h, axis=int32(2), split_sizes=int32[1](64), num_splits=int32(2))", "1 entries"},
    // Families of later opsets
    {"logical_and(x=%b, y=%i)", "parameter 'y': %i has the unsuitable type int32[1,8]"},
    {"clip(x=%f, alpha=int32(0), beta=fp32(1))", "parameter 'alpha': expected one float"},
    {"gelu(x=%h, mode=\"LINEAR\")", "found \"LINEAR\""},
    {"prelu(x=%f, alpha=fp32[2](1,2))", "a float for each of 3 channels"},
    {"reduce_argmax(x=%f, output_dtype=\"int8\")", "expected int32 or uint16"},
    {"topk(x=%f, k=int32(5))", "5 of an axis of size 4"},
    {"topk(x=%f, k=int32(0))", "0 of an axis of size 4"},
    {"batch_norm(x=%f, mean=%g, variance=%g)", "parameter 'mean': expected [3]"},
    {"layer_norm(x=%f, axes=int32[1](1), gamma=%g)", "parameter 'gamma': expected [3]"},
    {"l2_norm(x=%g)", "expected rank 3 or more"},
    {"einsum(values=[%f, %f], equation=\"abc,abd->acd\")", "equation"},
    {"scaled_dot_product_attention(query=%h, key=%h2, value=%h)", "expected [..., l, e]"},
    {"conv(x=%g, weight=fp32[6,3,3]iota)", "expected [n, channels, spatial...]"},
    {"conv(x=%f, weight=fp32[6,3,5]iota)", "a window of 5 has no place in 4"},
    {"conv(x=%f, weight=fp32[6,2,3]iota)", "expected [out, in / 1, ...]"},
    {"conv(x=%f, weight=fp32[6,3,3]iota, groups=int32(2))", "2 does not divide 3 channels"},
    {"conv(x=%f, weight=fp32[6,3,3]iota, strides=int32[1](0))", "0 is out of range"},
    {"conv(x=%f, weight=fp32[6,3,3]iota, strides=int32[2](1,1))", "expected 1 entries, found 2"},
    {"conv(x=%f, weight=fp32[6,3,3]iota, pad_type=\"full\")", "found \"full\""},
    {"conv(x=%f, weight=fp32[6,3,3]iota, bias=fp32[3](1,2,3))", "expected [6], found fp32[3]"},
    {"conv_quantized(x=%f, weight=uint8[6,3,3]iota, quantization_type=\"lut\", "
     "quant_scale=fp32[6]iota, quant_bias=fp32(0))",
     "there is no table"},
    {"conv_quantized(x=%f, weight=uint8[6,3,3]iota, quantization_type=\"linear\", "
     "quant_scale=fp32[3]iota, quant_bias=fp32(0))",
     "'quant_scale': expected one element or 6, found fp32[3]"},
    {"conv_quantized(x=%f, weight=uint8[6,3,3]iota, quantization_type=\"linear\", "
     "nbits=int32(9), quant_scale=fp32(1), quant_bias=fp32(0))",
     "'nbits': 9, expected 1 to 8"},
    {"conv_transpose(x=%f, weight=fp32[3,5,3]iota, output_shape=int32[3](2,4,6))",
     "does not begin with [2,5]"},
    {"conv_transpose(x=%f, weight=fp32[3,5,3]iota, pad_type=\"custom\", pad=int32[2](9,9))",
     "the result would have the size -12"},
    {"max_pool(x=%f, kernel_sizes=int32[1](2), pad_type=\"custom\", pad=int32[2](1,0), "
     "ceil_mode=bool(true))",
     "ceil_mode with padding 1 and 0"},
    {"rnn(x=%f, initial_h=fp32[3,2]iota, weight_ih=fp32[2,4]iota, weight_hh=fp32[2,3]iota)",
     "parameter 'weight_hh'"},
    {"gather_along_axis(x=%f, indices=int32[2,1,3]iota, axis=int32(1))", "do not fit fp32[2,3,4]"},
    {"gather_nd(x=%f, indices=int32[5,4]iota)", "do not fit"},
    {"scatter(data=%f, indices=int32[1](0), updates=fp32[2,1,4]iota)",
     "parameter 'updates': expected [1,3,4]"},
    {"scatter_nd(data=%f, indices=int32[1,2](0,1), updates=fp32[1,4]iota, mode=\"or\")",
     "unknown mode \"or\""},
    {"slice_by_size(x=%g, begin=int32[1](2), size=int32[1](3))", "3 elements from 2 of axis 0"},
    {"slice_update(x=%g, update=fp32[2]iota, begin=int32[1](0), end=int32[1](3))",
     "the slice of x is [3]"},
    {"crop(x=%f, crop_height=int32[2](2,1), crop_width=int32[2](0,0))", "leave something of 3"},
    {"pad(x=%g, pad=int32[2](4,0), mode=\"reflect\")", "cannot be reflected by 4"},
    {"pad(x=%g, pad=int32[2](-1,0))", "-1 and 0 for an axis"},
    {"reverse_sequence(x=%f, lengths=int32[2](1,2))", "along another axis than 0"},
    {"sliding_windows(x=%g, axis=int32(0), size=int32(5))", "windows of 5"},
    {"tile(x=%g, reps=int32[1](0))", "0 for axis 0"},
    {"depth_to_space(x=%f, block_size=int32(2))", "expected [n, c, h, w]"},
    {"upsample_nearest_neighbor(x=%f, scale_factor_height=fp32(0.1))", "would have the size 0"},
    {"resize(x=%f, shape=int32[1](5), resized_dims=uint32(2))", "resized_dims 2 of shape [1]"},
    {"range_1d(start=fp32(0), end=fp32(1), step=fp32(0))", "has no elements, or too many"},
    {"range_1d(start=fp32(0), end=fp32(1), step=fp32(-1))", "has no elements, or too many"},
    {"fill(shape=int32[1](0))", "expected positive dimensions"},
    {"split(x=%h, axis=int32(2), num_splits=int32(2))", "split has 2 results, found 1"},
};
INSTANTIATE_TEST_SUITE_P(Ops, Refuses, ::testing::ValuesIn(kBad));

TEST(OpTable, IsSortedAndFindsEveryEntry) {
  for (const OpSpec& spec : op_table()) {
    EXPECT_EQ(find_op(spec.type, spec.since), &spec);
    EXPECT_EQ(find_op(spec.type, spec.until), &spec);
  }
  EXPECT_EQ(find_op("no_such_op"), nullptr);
  EXPECT_EQ(find_op(""), nullptr);
}

TEST(OpTable, UnknownOperationsAreUnsupported) {
  const Op op{"no_such_op", {}, {}};
  const auto types = infer(op);
  ASSERT_FALSE(types.has_value());
  EXPECT_EQ(types.error().code, ErrorCode::Unsupported);
  EXPECT_EQ(types.error().to_string(), "operation 'no_such_op' is not supported");
}

std::string error_in(std::string_view opset, std::string_view statement) {
  const auto parsed = parse_in(opset, statement);
  return parsed ? "" : parsed.error().to_string();
}

TEST(Opsets, AreNamed) {
  for (Opset opset : {Opset::CoreML5, Opset::CoreML7, Opset::CoreML9}) {
    EXPECT_EQ(opset_from_name(name(opset)), opset);
  }
  for (const std::string_view wrong : {"CoreML4", "CoreML10", "coreml8", "8", ""}) {
    EXPECT_FALSE(opset_from_name(wrong)) << wrong;
  }
  EXPECT_THAT(error_in("CoreML4", "%r: fp16[1,8,64] = silu(x=%h)"),
              HasSubstr("opset \"CoreML4\" (supported: CoreML5 to CoreML9)"));
}

TEST(Opsets, HaveTheirOperationsAndParameters) {
  constexpr std::string_view kFillLike = "%r: fp16[1,8] = fill_like(ref_tensor=%i, value=fp16(1))";
  EXPECT_THAT(error_in("CoreML5", kFillLike),
              HasSubstr("operation 'fill_like' is not in opset CoreML5"));
  ASSERT_OK(parse_in("CoreML6", kFillLike));
  constexpr std::string_view kGather =
      "%r: fp32[5,3,4] = gather(x=%f, indices=%j, validate_indices=bool(true))";
  EXPECT_THAT(error_in("CoreML6", kGather),
              HasSubstr("parameter 'validate_indices' came with opset CoreML7, the function's is "
                        "CoreML6"));
  ASSERT_OK(parse_in("CoreML7", kGather));
}

TEST(Opsets, MayDefineAnOperationAnew) {
  constexpr std::string_view kOfRois =
      "%r: fp32[1,2,3,1,1] = crop_resize(x=%image, roi=fp32[1,1,4,1,1](0,0,1,1))";
  constexpr std::string_view kOfBoxes =
      "%r: fp32[1,3,1,1] = crop_resize(x=%image, boxes=fp32[1,4](0,0,1,1))";
  const auto in = [](std::string_view opset, std::string_view statement) {
    const auto parsed = parse(fmt::format(
        "func @t(%image: fp32[2,3,4,4]) opset \"{}\" {{\n{}\nreturn\n}}", opset, statement));
    return parsed ? "" : parsed.error().to_string();
  };
  EXPECT_EQ(in("CoreML6", kOfRois), "");
  EXPECT_EQ(in("CoreML7", kOfBoxes), "");
  EXPECT_THAT(in("CoreML6", kOfBoxes), HasSubstr("unknown parameter 'boxes'"));
  EXPECT_THAT(in("CoreML9", kOfRois), HasSubstr("unknown parameter 'roi'"));
}

// Types as only a hostile file declares them; inference must say no without computing on them.
TEST(Infer, RefusesAbsurdOperands) {
  const int64_t huge = int64_t{1} << 62;
  const TensorType absurd[] = {
      {DType::F16, {0}},           {DType::F16, {-1}},  {DType::F16, {huge, huge}},
      {DType::F16, Shape(100, 1)}, {DType::String, {}}, {DType::String, {3}},
  };
  for (const OpSpec& spec : op_table()) {
    if (spec.type == "diptych.graph_break") continue;  // carries strings through like anything else
    for (const TensorType& type : absurd) {
      for (const auto kind : {Value::Kind::Input, Value::Kind::Constant}) {
        Value value;
        value.name = "v";
        value.type = type;
        value.kind = kind;  // a constant without contents
        Op op{std::string(spec.type), {}, {}};
        for (const ParamSpec& param : spec.params) {
          op.operands.push_back({std::string(param.name), {&value}});
        }
        EXPECT_FALSE(infer(op).has_value()) << spec.type << " of " << to_string(type);
      }
    }
    Op unbound{std::string(spec.type), {}, {}};
    for (const ParamSpec& param : spec.params) {
      unbound.operands.push_back({std::string(param.name), {nullptr}});
    }
    EXPECT_FALSE(infer(unbound).has_value()) << spec.type;
  }
}

TEST(Infer, RefusesAnOverflowingResult) {
  Function f("f");
  Value* x = f.add_input("x", {DType::F16, {int64_t{1} << 59}});
  Value* axis = f.add_constant("axis", diptych::constant_ints(DType::Int32, {}, {0}));
  const Op op{"concat", {{"values", std::vector<Value*>(64, x)}, {"axis", {axis}}}, {}};
  EXPECT_FALSE(infer(op).has_value());
}

// A constant may claim any size when its contents are generated.
TEST(Infer, DoesNotReadHugeParameters) {
  Function f("f");
  Value* x = f.add_input("x", {DType::F16, {4}});
  Value* shape = f.add_constant("shape", zeros({DType::Int32, {int64_t{1} << 40}}));
  const auto types = infer({"reshape", {{"x", {x}}, {"shape", {shape}}}, {}});
  ASSERT_FALSE(types.has_value());
  EXPECT_THAT(types.error().to_string(), HasSubstr("a list of at most 4096"));
}

}  // namespace
}  // namespace diptych::mil
