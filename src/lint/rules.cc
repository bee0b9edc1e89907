// The table of rules. Sources: Apple's rules are those of its coreai-models repository
// (neural_engine_rules.md, common_issues.md, guidance.md; BSD), written for Core AI and the same
// hardware; numbers are issues and pull requests of the repositories named.
#include <array>

#include "lint/rule.h"

namespace diptych::lint {

namespace {

constexpr std::string_view kRules = "Apple, coreai-models: neural_engine_rules";

constexpr Row kRows[] = {
    // What is not taken.
    {{"rank", Harm::Refused, "tensors have at most 5 axes",
      "apple/coremltools#1723, pytorch/executorch#11694"},
     high_ranks},
    {{"dimension", Harm::Leaves, "no dimension exceeds 16384",
      "measurements of the ANEMLL and coremlmodels projects", Remedy::SplitLinears},
     large_dimensions},
    {{"package-size", Harm::Refused,
      "a package's weights stay below 1 GB (on macOS 2 GB) for the Neural Engine's compiler",
      "conversion notes of the ANEMLL project", Remedy::FewerBits},
     nullptr,
     large_packages},
    {{"bundle-size", Harm::Refused, "a model for phones stays below 2 GB",
      "Apple, coreai-models: guidance, model sizes", Remedy::FewerBits},
     nullptr,
     large_bundles},
    // What leaves the Neural Engine.
    {{"fp32", Harm::Leaves, "the Neural Engine computes in fp16: fp32 runs on CPU and GPU", kRules,
      Remedy::HalfPrecision},
     fp32_results},
    {{"fp32-literal", Harm::Leaves,
      "numbers in elementwise operations have the type of what they meet",
      "Apple, coreai-models: neural_engine_rules, float32 intermediates"},
     fp32_literals},
    {{"int32", Harm::Leaves, "int32 is not computed beside linears", kRules}, integers_between},
    {{"recurrent", Harm::Leaves, "recurrent layers do not run on the Neural Engine",
      "apple/coremltools#1780"},
     recurrences},
    {{"gather-points", Harm::Leaves, "gathers of single elements run on the CPU",
      "apple/coremltools#1103; Apple, coreai-models: common_issues"},
     gathers_of_points},
    {{"dynamic-shape", Harm::Leaves, "shapes are fixed, none follows from data", kRules},
     shapes_from_data},
    {{"state", Harm::Leaves, "caches are inputs and outputs, not states",
      "Apple, coreai-models: neural_engine_rules, read-only KV cache"},
     states},
    {{"embedding", Harm::Leaves, "the embedding's table is not in one function with linears",
      "Apple, coreai-models: neural_engine_rules, model decomposition", Remedy::GraphBreaks},
     embeddings_beside_linears},
    {{"fused-attention", Harm::Leaves,
      "attention in one operation is not known to the Neural Engine",
      "Apple, coreai-models: neural_engine_rules, per-head attention"},
     attention_in_one},
    // What is unsafe.
    {{"infinite-mask", Harm::Unsafe, "masks hide by -40000, not by -inf",
      "Apple, coreai-models: neural_engine_rules, causal mask", Remedy::FiniteMask},
     nullptr,
     infinite_masks},
    {{"infinity", Harm::Unsafe, "no constant is infinite",
      "Apple, coreai-models: neural_engine_rules, causal mask"},
     infinite_constants},
    {{"beyond-fp16", Harm::Unsafe, "no finite constant is beyond fp16, where it becomes infinite",
      "apple/coremltools#2669"},
     constants_beyond_fp16},
    {{"norm-overflow", Harm::Unsafe,
      "squares of fp16 are not summed: they are infinite from 256 on", "the range of fp16, 65504",
      Remedy::SafeNorm},
     plain_norms},
    // What is slow.
    {{"linear", Harm::Slow, "projections are 1x1 convolutions, not linears",
      "Apple, coreai-models: neural_engine_rules, Conv2d instead of Linear"},
     linears},
    {{"matmul-weight", Harm::Slow, "a product with a constant matrix is no matmul",
      "Core ML Tools: pass fuse_matmul_weight_bias"},
     matmuls_by_weights},
    {{"group-scales", Harm::Slow,
      "4-bit weights have scales of whole rows or palettes; scales of groups are for the GPU",
      "Core ML Tools' guide, optimization overview", Remedy::WholeRowFormats},
     scales_of_groups},
    {{"last-axis", Harm::Slow, "the last axis is not 1: it is filled up to 64 bytes",
      "Apple, coreai-models: neural_engine_rules, tensor memory alignment", Remedy::ShorterInput},
     single_last_axes},
    {{"alignment", Harm::Slow, "rows of inputs and outputs are multiples of 64 bytes",
      "Apple, coreai-models: neural_engine_rules, tensor memory alignment"},
     unaligned_ports},
    {{"transpose", Harm::Slow, "large transposes leave the last axis where it is",
      "Apple, coreai-models: neural_engine_rules, unnecessary memory copies"},
     transposes_of_the_last_axis},
    {{"softmax", Harm::Slow, "a large softmax is over the channels",
      "Apple, coreai-models: neural_engine_rules, softmax placement", Remedy::ShorterInput},
     softmax_over_width},
    {{"cast-pair", Harm::Slow, "no value is cast to another type and back",
      "Apple, coreai-models: neural_engine_rules, unnecessary memory copies"},
     casts_there_and_back},
    {{"norm-pieces", Harm::Slow, "a layer norm is one operation",
      "Apple, coreai-models: neural_engine_rules, high-level ops"},
     norms_in_pieces},
    {{"all-logits", Harm::Slow, "logits that nobody reads do not come out",
      "Apple, coreai-models: neural_engine_rules, functions", Remedy::SeveralMethods},
     logits_of_all},
    {{"unread-input", Harm::Slow, "every input is read", "bytes that are copied for nothing"},
     unread_inputs},
    {{"conv-stride", Harm::Slow, "strides are products of 2 and 3, and equal when large",
      "Apple, coreai-models: neural_engine_rules, convolution stride"},
     odd_strides},
    {{"conv-kernel", Harm::Slow, "kernels of convolutions are small",
      "Apple, coreai-models: neural_engine_rules, large kernel decomposition"},
     large_kernels},
    {{"conv-dilation", Harm::Slow, "dilations are 1, 2 or 3",
      "Apple, coreai-models: neural_engine_rules, dilated convolution"},
     wide_dilations},
    {{"pool-stride", Harm::Slow, "pools have strides of 1, 2 or 4",
      "Apple, coreai-models: neural_engine_rules, pooling stride"},
     odd_pool_strides},
    {{"conv-pair", Harm::Slow, "two convolutions with nothing in between are one",
      "Apple, coreai-models: neural_engine_rules, convolution fusion"},
     convolutions_in_a_row},
};

constexpr auto kPointers = [] {
  std::array<const Rule*, std::size(kRows)> pointers{};
  for (size_t i = 0; i < pointers.size(); ++i) pointers[i] = &kRows[i].rule;
  return pointers;
}();

}  // namespace

std::span<const Row> rows() { return kRows; }
std::span<const Rule* const> rules() { return kPointers; }

}  // namespace diptych::lint
