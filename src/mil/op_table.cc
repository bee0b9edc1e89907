#include "mil/op_table.h"

#include <algorithm>

#include "mil/op_infer.h"

namespace diptych::mil {
namespace {

using enum Opset;

// A parameter that is bound to a computed value or a constant.
constexpr ParamSpec in(std::string_view name, TypeSet types, char alike = 0) {
  return {.name = name, .types = types, .alike = alike};
}
constexpr ParamSpec optional(std::string_view name, TypeSet types, char alike = 0) {
  return {.name = name, .types = types, .alike = alike, .required = false};
}
constexpr ParamSpec variadic(std::string_view name, std::optional<TypeSet> types, char alike = 0) {
  return {.name = name, .types = types, .alike = alike, .variadic = true};
}
// A parameter that must be a constant.
constexpr ParamSpec fixed(std::string_view name) { return {.name = name, .constant = true}; }
constexpr ParamSpec optional_fixed(std::string_view name) {
  return {.name = name, .required = false, .constant = true};
}
constexpr ParamSpec fixed_list(std::string_view name) {
  return {.name = name, .variadic = true, .constant = true};
}
// A part of a weight: a constant, or what another constexpr operation makes.
constexpr ParamSpec part(std::string_view name, TypeSet types) {
  return {.name = name, .types = types, .constant = true, .unpacked = true};
}
constexpr ParamSpec optional_part(std::string_view name, TypeSet types) {
  return {.name = name, .types = types, .required = false, .constant = true, .unpacked = true};
}
constexpr ParamSpec nonzero_part(std::string_view name, TypeSet types) {
  return {.name = name, .types = types, .constant = true, .unpacked = true, .may_be_empty = true};
}
// What any type may be bound to, for inference to look at.
constexpr ParamSpec any(std::string_view name) { return {.name = name}; }

constexpr TypeSet kNumbersAndBool = kNumbers | kBool;
constexpr TypeSet kNumbersAndIntegers = kFloats | kIntegers;

// --- Elementwise ---
constexpr ParamSpec kBoolX[] = {in("x", kBool)};
constexpr ParamSpec kFloatX[] = {in("x", kFloats)};
constexpr ParamSpec kNumberX[] = {in("x", kNumbers)};
constexpr ParamSpec kElementX[] = {in("x", kElements)};
constexpr ParamSpec kAlpha[] = {in("x", kFloats), fixed("alpha")};
constexpr ParamSpec kAlphaBeta[] = {in("x", kFloats), fixed("alpha"), fixed("beta")};
constexpr ParamSpec kEpsilon[] = {in("x", kFloats), optional_fixed("epsilon")};
constexpr ParamSpec kGelu[] = {in("x", kFloats), optional_fixed("mode")};
constexpr ParamSpec kThreshold[] = {in("x", kNumbers), fixed("alpha")};
constexpr ParamSpec kBools[] = {in("x", kBool), in("y", kBool)};
constexpr ParamSpec kBinary[] = {in("x", kNumbers, 'T'), in("y", kNumbers, 'T')};
constexpr ParamSpec kCast[] = {in("x", kElements), fixed("dtype")};
constexpr ParamSpec kSelect[] = {in("cond", kBool), in("a", kElements, 'T'),
                                 in("b", kElements, 'T')};

// --- Rows: reductions, norms, sorting ---
constexpr ParamSpec kReduce[] = {in("x", kNumbers), optional_fixed("axes"),
                                 optional_fixed("keep_dims")};
constexpr ParamSpec kReduceArg[] = {in("x", kNumbers), optional_fixed("axis"),
                                    optional_fixed("keep_dims"),
                                    optional_fixed("output_dtype").from(CoreML7)};
constexpr ParamSpec kSoftmax[] = {in("x", kFloats), optional_fixed("axis")};
constexpr ParamSpec kCumsum[] = {in("x", kNumbers), optional_fixed("axis"),
                                 optional_fixed("exclusive"), optional_fixed("reverse")};
constexpr ParamSpec kArgsort[] = {in("x", kNumbers), optional_fixed("axis"),
                                  optional_fixed("ascending")};
constexpr ParamSpec kTopk[] = {in("x", kNumbersAndIntegers),
                               optional_fixed("k"),
                               optional_fixed("axis"),
                               optional_fixed("ascending"),
                               optional_fixed("sort").from(CoreML6),
                               optional_fixed("return_indices").from(CoreML6),
                               optional_fixed("output_indices_dtype").from(CoreML7)};
constexpr ParamSpec kBatchNorm[] = {in("x", kFloats),          in("mean", kFloats),
                                    in("variance", kFloats),   optional("gamma", kFloats),
                                    optional("beta", kFloats), optional_fixed("epsilon")};
constexpr ParamSpec kInstanceNorm[] = {in("x", kFloats), optional("gamma", kFloats),
                                       optional("beta", kFloats), optional_fixed("epsilon")};
constexpr ParamSpec kLayerNorm[] = {in("x", kFloats), optional_fixed("axes"),
                                    optional("gamma", kFloats), optional("beta", kFloats),
                                    optional_fixed("epsilon")};
constexpr ParamSpec kLocalResponseNorm[] = {in("x", kFloats), fixed("size"),
                                            optional_fixed("alpha"), optional_fixed("beta"),
                                            optional_fixed("k")};

// --- Weights ---
constexpr TypeSet kBytes{DType::Int8, DType::UInt8};
constexpr TypeSet kCodes = kBytes | TypeSet{DType::Int4, DType::UInt4};
constexpr TypeSet kCodesAndFloats = kCodes | kFloats;
constexpr TypeSet kTableIndices{DType::UInt1, DType::UInt2, DType::UInt3,
                                DType::UInt4, DType::UInt6, DType::UInt8};
constexpr TypeSet kTableEntries = kBytes | kFloats;
constexpr TypeSet kMask{DType::UInt1};
constexpr TypeSet kFlat{DType::UInt8};  // bytes whose bits are elements
constexpr ParamSpec kAffineDequantize[] = {part("quantized_data", kBytes),
                                           part("zero_point", kBytes | TypeSet{DType::F32}),
                                           part("scale", kFloats), fixed("axis")};
constexpr ParamSpec kBlockwiseShiftScale[] = {part("data", kCodesAndFloats), part("scale", kFloats),
                                              optional_part("offset", kCodesAndFloats)};
constexpr ParamSpec kConstexprCast[] = {part("source_val", TypeSet{DType::F16}),
                                        fixed("output_dtype")};
constexpr ParamSpec kFlatLutToDense[] = {part("indices", kFlat), part("lut", kTableEntries),
                                         fixed("shape")};
constexpr ParamSpec kLutToDense[] = {part("indices", kTableIndices), part("lut", kTableEntries),
                                     optional_fixed("vector_axis")};
constexpr ParamSpec kLutToSparse[] = {part("indices_mask", kMask),
                                      nonzero_part("indices_nonzero_data", kTableIndices),
                                      part("lut", kTableEntries), optional_fixed("vector_axis")};
constexpr ParamSpec kSparseBlockwiseShiftScale[] = {
    part("data_mask", kMask), nonzero_part("nonzero_data", kCodesAndFloats), part("scale", kFloats),
    optional_part("offset", kCodesAndFloats)};
constexpr ParamSpec kFlatSparseToDense[] = {nonzero_part("nonzero_data", kTableEntries),
                                            part("mask", kFlat), fixed("shape")};
constexpr ParamSpec kSparseToDense[] = {nonzero_part("nonzero_data", kCodesAndFloats),
                                        part("mask", kMask)};
constexpr ParamSpec kQuantize[] = {in("input", kFloats), optional("zero_point", kBytes),
                                   in("scale", kFloats), optional_fixed("axis"),
                                   fixed("output_dtype")};
constexpr ParamSpec kDequantize[] = {in("input", kBytes), optional("zero_point", kBytes),
                                     in("scale", kFloats), optional_fixed("axis")};

// --- Contractions ---
constexpr ParamSpec kLinear[] = {in("x", kNumbers), in("weight", kNumbers),
                                 optional("bias", kNumbers)};
constexpr ParamSpec kMatmul[] = {in("x", kNumbers), in("y", kNumbers),
                                 optional_fixed("transpose_x"), optional_fixed("transpose_y")};
constexpr ParamSpec kEinsum[] = {variadic("values", kFloats, 'T'), fixed("equation")};
constexpr ParamSpec kAttention[] = {in("query", kFloats, 'T'), in("key", kFloats, 'T'),
                                    in("value", kFloats, 'T'),
                                    optional("attn_mask", kFloats | kBool)};
constexpr ParamSpec kConv[] = {in("x", kFloats),
                               in("weight", kFloats),
                               optional("bias", kFloats),
                               optional_fixed("strides"),
                               optional_fixed("pad_type"),
                               optional_fixed("pad"),
                               optional_fixed("dilations"),
                               optional_fixed("groups")};
constexpr ParamSpec kConvQuantized[] = {in("x", kFloats),
                                        in("weight", TypeSet{DType::UInt8}),
                                        optional("bias", kFloats | TypeSet{DType::UInt8}),
                                        fixed("quantization_type"),
                                        optional_fixed("nbits"),
                                        in("quant_scale", kFloats),
                                        in("quant_bias", kFloats),
                                        optional_fixed("strides"),
                                        optional_fixed("pad_type"),
                                        optional_fixed("pad"),
                                        optional_fixed("dilations"),
                                        optional_fixed("groups")};
constexpr ParamSpec kConvTranspose[] = {
    in("x", kFloats),          in("weight", kFloats),          optional("bias", kFloats),
    optional_fixed("pad"),     optional_fixed("output_shape"), optional_fixed("pad_type"),
    optional_fixed("strides"), optional_fixed("dilations"),    optional_fixed("groups")};
constexpr ParamSpec kPool[] = {in("x", kFloats),          fixed("kernel_sizes"),
                               optional_fixed("strides"), fixed("pad_type"),
                               optional_fixed("pad"),     optional_fixed("ceil_mode")};
constexpr ParamSpec kAvgPool[] = {
    in("x", kFloats),           fixed("kernel_sizes"),
    optional_fixed("strides"),  fixed("pad_type"),
    optional_fixed("pad"),      optional_fixed("exclude_padding_from_average"),
    optional_fixed("ceil_mode")};

// --- Recurrent ---
constexpr ParamSpec kRnn[] = {in("x", kFloats),
                              in("initial_h", kFloats),
                              in("weight_ih", kFloats),
                              in("weight_hh", kFloats),
                              optional("bias", kFloats),
                              optional_fixed("direction"),
                              optional_fixed("output_sequence"),
                              optional_fixed("activation")};
constexpr ParamSpec kGru[] = {in("x", kFloats),
                              in("initial_h", kFloats),
                              in("weight_ih", kFloats),
                              in("weight_hh", kFloats),
                              optional("bias", kFloats),
                              optional("input_bias", kFloats).from(CoreML8),
                              optional_fixed("direction"),
                              optional_fixed("output_sequence"),
                              optional_fixed("recurrent_activation"),
                              optional_fixed("activation"),
                              optional_fixed("reset_after").from(CoreML8)};
constexpr ParamSpec kLstm[] = {in("x", kFloats),
                               in("initial_h", kFloats),
                               in("initial_c", kFloats),
                               in("weight_ih", kFloats),
                               in("weight_hh", kFloats),
                               optional("bias", kFloats),
                               optional("peephole", kFloats),
                               optional("weight_ih_back", kFloats),
                               optional("weight_hh_back", kFloats),
                               optional("bias_back", kFloats),
                               optional("peephole_back", kFloats),
                               optional_fixed("direction"),
                               optional_fixed("output_sequence"),
                               optional_fixed("recurrent_activation"),
                               optional_fixed("cell_activation"),
                               optional_fixed("activation"),
                               optional_fixed("clip")};

// --- Gather and scatter ---
constexpr ParamSpec kGather[] = {in("x", kElements), in("indices", kIntegers),
                                 optional_fixed("axis"), optional_fixed("batch_dims").from(CoreML6),
                                 optional_fixed("validate_indices").from(CoreML7)};
constexpr ParamSpec kGatherAlongAxis[] = {in("x", kElements), in("indices", kIntegers),
                                          optional_fixed("axis"),
                                          optional_fixed("validate_indices").from(CoreML7)};
constexpr ParamSpec kGatherNd[] = {in("x", kElements), in("indices", kIntegers),
                                   optional_fixed("batch_dims").from(CoreML6),
                                   optional_fixed("validate_indices").from(CoreML7)};
constexpr ParamSpec kScatter[] = {
    in("data", kNumbers, 'T'),    in("indices", kIntegers),
    in("updates", kNumbers, 'T'), optional_fixed("axis"),
    optional_fixed("mode"),       optional_fixed("validate_indices").from(CoreML7)};
constexpr ParamSpec kScatterNd[] = {in("data", kNumbers, 'T'), in("indices", kIntegers),
                                    in("updates", kNumbers, 'T'), optional_fixed("mode"),
                                    optional_fixed("validate_indices").from(CoreML7)};

// --- Layout ---
constexpr ParamSpec kConcat[] = {variadic("values", kElements, 'T'), fixed("axis"),
                                 optional_fixed("interleave")};
constexpr ParamSpec kStack[] = {variadic("values", kElements, 'T'), fixed("axis")};
constexpr ParamSpec kSplit[] = {in("x", kElements), fixed("axis"), optional_fixed("num_splits"),
                                optional_fixed("split_sizes")};
constexpr ParamSpec kReshape[] = {in("x", kElements), fixed("shape")};
constexpr ParamSpec kReshapeLike[] = {in("x", kElements), variadic("ref_tensors", kElements),
                                      fixed_list("begins"), fixed_list("ends"),
                                      fixed_list("end_masks")};
constexpr ParamSpec kFlatten[] = {in("x", kElements), optional_fixed("axis")};
constexpr ParamSpec kExpandDims[] = {in("x", kElements), fixed("axes")};
constexpr ParamSpec kAxes[] = {in("x", kElements), optional_fixed("axes")};
constexpr ParamSpec kTranspose[] = {in("x", kElements), fixed("perm")};
constexpr ParamSpec kBlockSize[] = {in("x", kFloats), fixed("block_size")};
constexpr ParamSpec kUpscale[] = {in("x", kFloats), fixed("upscale_factor")};
constexpr ParamSpec kDownscale[] = {in("x", kFloats), fixed("downscale_factor")};
constexpr ParamSpec kBatchToSpace[] = {in("x", kFloats), fixed("block_shape"), fixed("crops")};
constexpr ParamSpec kSpaceToBatch[] = {in("x", kFloats), fixed("block_shape"), fixed("paddings")};
constexpr ParamSpec kSlice[] = {in("x", kElements),
                                fixed("begin"),
                                fixed("end"),
                                optional_fixed("stride"),
                                optional_fixed("begin_mask"),
                                optional_fixed("end_mask"),
                                optional_fixed("squeeze_mask")};
constexpr ParamSpec kSliceBySize[] = {in("x", kElements), in("begin", kIntegers), fixed("size")};
constexpr ParamSpec kSliceUpdate[] = {in("x", kElements, 'T'),    in("update", kElements, 'T'),
                                      in("begin", kIntegers),     in("end", kIntegers),
                                      optional_fixed("stride"),   optional_fixed("begin_mask"),
                                      optional_fixed("end_mask"), optional_fixed("squeeze_mask")};
constexpr ParamSpec kCrop[] = {in("x", kFloats), fixed("crop_height"), fixed("crop_width")};
constexpr ParamSpec kPad[] = {in("x", kElements), fixed("pad"), optional_fixed("mode"),
                              optional_fixed("constant_val")};
constexpr ParamSpec kReverseSequence[] = {in("x", kElements), in("lengths", kIntegers),
                                          optional_fixed("seq_axis"), optional_fixed("batch_axis")};
constexpr ParamSpec kSlidingWindows[] = {in("x", kElements), fixed("axis"), fixed("size"),
                                         optional_fixed("stride")};
constexpr ParamSpec kTile[] = {in("x", kElements), fixed("reps")};
constexpr ParamSpec kBandPart[] = {in("x", kNumbersAndBool), optional_fixed("lower"),
                                   optional_fixed("upper")};

// --- Resizing ---
constexpr ParamSpec kUpsample[] = {in("x", kFloats), optional_fixed("scale_factor_height"),
                                   optional_fixed("scale_factor_width")};
constexpr ParamSpec kUpsampleBilinear[] = {
    in("x", kFloats), optional_fixed("scale_factor_height"), optional_fixed("scale_factor_width"),
    optional_fixed("align_corners"), optional_fixed("half_pixel_centers").from(CoreML6)};
constexpr ParamSpec kResizeNearest[] = {in("x", kFloats), fixed("target_size_height"),
                                        fixed("target_size_width")};
constexpr ParamSpec kResizeBilinear[] = {in("x", kFloats), optional_fixed("target_size_height"),
                                         optional_fixed("target_size_width"),
                                         optional_fixed("sampling_mode")};
constexpr ParamSpec kResize[] = {in("x", kNumbers), fixed("shape"), fixed("resized_dims"),
                                 optional_fixed("interpolation_mode"),
                                 optional_fixed("sampling_mode")};
constexpr ParamSpec kCropResizeOfRois[] = {in("x", kFloats),
                                           in("roi", kFloats),
                                           optional_fixed("target_height"),
                                           optional_fixed("target_width"),
                                           optional_fixed("normalized_coordinates"),
                                           optional_fixed("spatial_scale"),
                                           optional_fixed("box_coordinate_mode"),
                                           optional_fixed("sampling_mode"),
                                           optional_fixed("pad_value").from(CoreML6)};
constexpr ParamSpec kCropResizeOfBoxes[] = {in("x", kFloats),
                                            in("boxes", kFloats | TypeSet{DType::UInt16}),
                                            optional("box_indices", kIntegers),
                                            optional_fixed("target_height"),
                                            optional_fixed("target_width"),
                                            optional_fixed("normalized_coordinates"),
                                            optional_fixed("spatial_scale"),
                                            optional_fixed("box_coordinate_mode"),
                                            optional_fixed("sampling_mode"),
                                            optional_fixed("pad_value")};
constexpr ParamSpec kResample[] = {in("x", kFloats),       in("coordinates", kNumbersAndIntegers),
                                   fixed("sampling_mode"), fixed("padding_mode"),
                                   fixed("padding_value"), fixed("coordinates_mode"),
                                   fixed("align_corners")};
constexpr ParamSpec kAffine[] = {
    in("x", kFloats),       in("transform_matrix", kFloats), fixed("output_height"),
    fixed("output_width"),  fixed("sampling_mode"),          fixed("padding_mode"),
    fixed("padding_value"), fixed("coordinates_mode"),       fixed("align_corners")};

// --- Detection, classes ---
constexpr ParamSpec kClassify[] = {in("probabilities", kFloats)};
constexpr ParamSpec kSuppression[] = {
    in("boxes", kFloats, 'T'), in("scores", kFloats, 'T'), fixed("iou_threshold"),
    fixed("score_threshold"),  fixed("max_boxes"),         optional_fixed("per_class_suppression")};
constexpr ParamSpec kSuppressionByRows[] = {in("boxes", kFloats, 'T'), in("scores", kFloats, 'T'),
                                            fixed("iou_threshold"), fixed("max_boxes"),
                                            optional_fixed("per_class_suppression")};

// --- Made from parameters ---
constexpr ParamSpec kFill[] = {fixed("shape"), optional_fixed("value")};
constexpr ParamSpec kFillLike[] = {in("ref_tensor", kElements), optional_fixed("value")};
constexpr ParamSpec kOneHot[] = {in("indices", kIntegers), fixed("one_hot_vector_size"),
                                 optional_fixed("axis"), optional_fixed("on_value"),
                                 optional_fixed("off_value")};
constexpr ParamSpec fixed_or_cast(std::string_view name) {
  return {.name = name, .constant = true, .cast = true};
}
constexpr ParamSpec kRange[] = {fixed_or_cast("start"), fixed_or_cast("end"),
                                fixed_or_cast("step")};

constexpr ParamSpec kBernoulli[] = {fixed("shape"), optional_fixed("prob"), optional_fixed("seed")};
constexpr ParamSpec kCategorical[] = {in("x", kFloats), optional_fixed("mode"),
                                      optional_fixed("size"), optional_fixed("seed")};
constexpr ParamSpec kNormal[] = {fixed("shape"), optional_fixed("mean"), optional_fixed("stddev"),
                                 optional_fixed("seed")};
constexpr ParamSpec kUniform[] = {fixed("shape"), optional_fixed("low"), optional_fixed("high"),
                                  optional_fixed("seed")};

// --- Our own dialect ---
constexpr ParamSpec kCpuAttention[] = {any("q"),
                                       any("k_cache"),
                                       any("k"),
                                       any("v_cache"),
                                       any("v"),
                                       any("mask"),
                                       optional_fixed("scale"),
                                       optional_fixed("cap")};
constexpr ParamSpec kCpuLinear[] = {
    any("x"), variadic("weights", std::nullopt),
    ParamSpec{.name = "biases", .required = false, .variadic = true}, optional_fixed("counts"),
    ParamSpec{.name = "residual", .required = false}};
constexpr ParamSpec kCpuRmsNorm[] = {any("x"), ParamSpec{.name = "weight", .required = false},
                                     fixed("epsilon"), optional_fixed("relative_epsilon")};
constexpr ParamSpec kCpuRope[] = {any("x"), any("cos"), any("sin"), optional_fixed("interleaved")};
constexpr ParamSpec kCpuGated[] = {any("gate"), any("up")};
constexpr ParamSpec kGraphBreak[] = {variadic("values", std::nullopt)};

constexpr OpSpec kOps[] = {
    {"abs", kNumberX, infer_unary},
    {"acos", kFloatX, infer_unary},
    {"add", kBinary, infer_binary},
    {"affine", kAffine, infer_affine},
    {"argsort", kArgsort, infer_argsort},
    {"asin", kFloatX, infer_unary},
    {"atan", kFloatX, infer_unary},
    {"atanh", kFloatX, infer_unary},
    {"avg_pool", kAvgPool, infer_pool},
    {"band_part", kBandPart, infer_band_part},
    {"batch_norm", kBatchNorm, infer_batch_norm},
    {"batch_to_space", kBatchToSpace, infer_blocks},
    {"cast", kCast, infer_cast},
    {"ceil", kFloatX, infer_unary},
    {"clamped_relu", kAlphaBeta, infer_unary},
    {"classify", kClassify, infer_classify},
    {"clip", kAlphaBeta, infer_unary},
    {"concat", kConcat, infer_concat},
    {"constexpr_affine_dequantize", kAffineDequantize, infer_constexpr_affine_dequantize, CoreML6},
    {"constexpr_blockwise_shift_scale", kBlockwiseShiftScale, infer_constexpr_blockwise_shift_scale,
     CoreML8},
    {"constexpr_cast", kConstexprCast, infer_constexpr_cast, CoreML6, CoreML7},
    {"constexpr_cast", kConstexprCast, infer_constexpr_cast, CoreML8},
    {"constexpr_lut_to_dense", kFlatLutToDense, infer_flat_lut_to_dense, CoreML6, CoreML7},
    {"constexpr_lut_to_dense", kLutToDense, infer_constexpr_lut_to_dense, CoreML8},
    {"constexpr_lut_to_sparse", kLutToSparse, infer_constexpr_lut_to_sparse, CoreML8},
    {"constexpr_sparse_blockwise_shift_scale", kSparseBlockwiseShiftScale,
     infer_constexpr_sparse_blockwise_shift_scale, CoreML8},
    {"constexpr_sparse_to_dense", kFlatSparseToDense, infer_flat_sparse_to_dense, CoreML6, CoreML7},
    {"constexpr_sparse_to_dense", kSparseToDense, infer_constexpr_sparse_to_dense, CoreML8},
    {"conv", kConv, infer_conv},
    {"conv_quantized", kConvQuantized, infer_conv_quantized},
    {"conv_transpose", kConvTranspose, infer_conv_transpose},
    {"cos", kFloatX, infer_unary},
    {"cosh", kFloatX, infer_unary},
    {"cpu.attention", kCpuAttention, infer_cpu_attention},
    {"cpu.geglu", kCpuGated, infer_cpu_gated},
    {"cpu.linear", kCpuLinear, infer_cpu_linear},
    {"cpu.rms_norm", kCpuRmsNorm, infer_cpu_rms_norm},
    {"cpu.rope", kCpuRope, infer_cpu_rope},
    {"cpu.swiglu", kCpuGated, infer_cpu_gated},
    {"crop", kCrop, infer_crop},
    {"crop_resize", kCropResizeOfRois, infer_crop_resize, CoreML5, CoreML6},
    {"crop_resize", kCropResizeOfBoxes, infer_crop_resize, CoreML7},
    {"cumsum", kCumsum, infer_cumsum},
    {"depth_to_space", kBlockSize, infer_blocks},
    {"dequantize", kDequantize, infer_dequantize, CoreML7},
    {"diptych.graph_break", kGraphBreak, infer_graph_break},
    {"einsum", kEinsum, infer_einsum},
    {"elu", kAlpha, infer_unary},
    {"equal", kBinary, infer_comparison},
    {"erf", kFloatX, infer_unary},
    {"exp", kFloatX, infer_unary},
    {"exp2", kNumberX, infer_unary},
    {"expand_dims", kExpandDims, infer_expand_dims},
    {"fill", kFill, infer_fill},
    {"fill_like", kFillLike, infer_fill_like, CoreML6},
    {"flatten2d", kFlatten, infer_flatten2d},
    {"floor", kFloatX, infer_unary},
    {"floor_div", kBinary, infer_binary},
    {"gather", kGather, infer_gather},
    {"gather_along_axis", kGatherAlongAxis, infer_gather_along_axis},
    {"gather_nd", kGatherNd, infer_gather_nd},
    {"gelu", kGelu, infer_gelu},
    {"greater", kBinary, infer_comparison},
    {"greater_equal", kBinary, infer_comparison},
    {"gru", kGru, infer_recurrent},
    {"identity", kElementX, infer_unary},
    {"instance_norm", kInstanceNorm, infer_instance_norm},
    {"inverse", kEpsilon, infer_unary},
    {"l2_norm", kEpsilon, infer_l2_norm},
    {"l2_pool", kPool, infer_pool},
    {"layer_norm", kLayerNorm, infer_layer_norm},
    {"leaky_relu", kAlpha, infer_unary},
    {"less", kBinary, infer_comparison},
    {"less_equal", kBinary, infer_comparison},
    {"linear", kLinear, infer_linear},
    {"linear_activation", kAlphaBeta, infer_unary},
    {"local_response_norm", kLocalResponseNorm, infer_local_response_norm},
    {"log", kEpsilon, infer_unary},
    {"logical_and", kBools, infer_binary},
    {"logical_not", kBoolX, infer_unary},
    {"logical_or", kBools, infer_binary},
    {"logical_xor", kBools, infer_binary},
    {"lstm", kLstm, infer_lstm},
    {"matmul", kMatmul, infer_matmul},
    {"max_pool", kPool, infer_pool},
    {"maximum", kBinary, infer_binary},
    {"minimum", kBinary, infer_binary},
    {"mod", kBinary, infer_binary},
    {"mul", kBinary, infer_binary},
    {"non_maximum_suppression", kSuppression, infer_non_maximum_suppression, CoreML5, CoreML6},
    {"non_maximum_suppression", kSuppressionByRows, infer_suppression_by_rows, CoreML7},
    {"not_equal", kBinary, infer_comparison},
    {"one_hot", kOneHot, infer_one_hot},
    {"pad", kPad, infer_pad},
    {"pixel_shuffle", kUpscale, infer_blocks},
    {"pixel_unshuffle", kDownscale, infer_blocks, CoreML6},
    {"pow", kBinary, infer_binary},
    {"prelu", kAlpha, infer_channels},
    {"quantize", kQuantize, infer_quantize, CoreML7},
    {"random_bernoulli", kBernoulli, infer_random},
    {"random_categorical", kCategorical, infer_random_categorical},
    {"random_normal", kNormal, infer_random},
    {"random_uniform", kUniform, infer_random},
    {"range_1d", kRange, infer_range_1d},
    {"real_div", kBinary, infer_binary},
    {"reduce_argmax", kReduceArg, infer_reduce_arg},
    {"reduce_argmin", kReduceArg, infer_reduce_arg},
    {"reduce_l1_norm", kReduce, infer_reduce},
    {"reduce_l2_norm", kReduce, infer_reduce},
    {"reduce_log_sum", kReduce, infer_reduce},
    {"reduce_log_sum_exp", kReduce, infer_reduce},
    {"reduce_max", kReduce, infer_reduce},
    {"reduce_mean", kReduce, infer_reduce},
    {"reduce_min", kReduce, infer_reduce},
    {"reduce_prod", kReduce, infer_reduce},
    {"reduce_sum", kReduce, infer_reduce},
    {"reduce_sum_square", kReduce, infer_reduce},
    {"relu", kFloatX, infer_unary},
    {"relu6", kFloatX, infer_unary},
    {"resample", kResample, infer_resample},
    {"reshape", kReshape, infer_reshape},
    {"reshape_like", kReshapeLike, infer_reshape_like, CoreML6},
    {"resize", kResize, infer_resize, CoreML7},
    {"resize_bilinear", kResizeBilinear, infer_resize_to},
    {"resize_nearest_neighbor", kResizeNearest, infer_resize_to},
    {"reverse", kAxes, infer_reverse},
    {"reverse_sequence", kReverseSequence, infer_reverse_sequence},
    {"rnn", kRnn, infer_recurrent},
    {"round", kFloatX, infer_unary},
    {"rsqrt", kEpsilon, infer_unary},
    {"scaled_dot_product_attention", kAttention, infer_attention, CoreML8},
    {"scaled_tanh", kAlphaBeta, infer_unary},
    {"scatter", kScatter, infer_scatter},
    {"scatter_along_axis", kScatter, infer_scatter_along_axis},
    {"scatter_nd", kScatterNd, infer_scatter_nd},
    {"select", kSelect, infer_select},
    {"shape", kElementX, infer_shape},
    {"sigmoid", kFloatX, infer_unary},
    {"sigmoid_hard", kAlphaBeta, infer_unary},
    {"sign", kNumberX, infer_unary},
    {"silu", kFloatX, infer_unary},
    {"sin", kFloatX, infer_unary},
    {"sinh", kFloatX, infer_unary},
    {"slice_by_index", kSlice, infer_slice_by_index},
    {"slice_by_size", kSliceBySize, infer_slice_by_size},
    {"slice_update", kSliceUpdate, infer_slice_update, CoreML8},
    {"sliding_windows", kSlidingWindows, infer_sliding_windows},
    {"softmax", kSoftmax, infer_softmax},
    {"softplus", kFloatX, infer_unary},
    {"softplus_parametric", kAlphaBeta, infer_channels},
    {"softsign", kFloatX, infer_unary},
    {"space_to_batch", kSpaceToBatch, infer_blocks},
    {"space_to_depth", kBlockSize, infer_blocks},
    {"split", kSplit, infer_split},
    {"sqrt", kFloatX, infer_unary},
    {"square", kNumberX, infer_unary},
    {"squeeze", kAxes, infer_squeeze},
    {"stack", kStack, infer_stack},
    {"sub", kBinary, infer_binary},
    {"tan", kFloatX, infer_unary},
    {"tanh", kFloatX, infer_unary},
    {"threshold", kThreshold, infer_unary},
    {"thresholded_relu", kAlpha, infer_unary},
    {"tile", kTile, infer_tile},
    {"topk", kTopk, infer_topk},
    {"transpose", kTranspose, infer_transpose},
    {"upsample_bilinear", kUpsampleBilinear, infer_upsample},
    {"upsample_nearest_neighbor", kUpsample, infer_upsample},
};

constexpr bool by_type_and_opset(const OpSpec& a, const OpSpec& b) {
  return a.type != b.type ? a.type < b.type : a.until < b.since;
}
static_assert(std::is_sorted(std::begin(kOps), std::end(kOps), by_type_and_opset));

}  // namespace

std::span<const OpSpec> op_table() { return kOps; }

}  // namespace diptych::mil
