#include "llama/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "contract/signature.h"
#include "listing.h"
#include "llama/static_model.h"
#include "mil/text.h"
#include "passes/cut_at_breaks.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::ElementsAre;

// Weights of the right shapes and types; contents do not matter to a graph.
LlamaWeights some_weights(const Params& params) {
  std::vector<std::pair<std::string, WeightRef>> tensors;
  for (const ExpectedTensor& expected : expected_tensors(params)) {
    tensors.emplace_back(expected.names.front(),
                         random_weight({DType::F32, expected.shape}, tensors.size()));
  }
  return collect(params, tensors).value();
}

// The sizes that tests choose.
struct Sizes {
  int64_t tokens = 1, cache_len = 1;
  bool last_logits_only = true;
  bool graph_breaks = true;
};

GraphOptions options_of(const Params& params, const Sizes& sizes, DType dtype,
                        const std::string& name = "forward") {
  return {static_model(params, sizes.cache_len, dtype),
          {name, contract::Role::Single, sizes.tokens, !sizes.last_logits_only},
          sizes.graph_breaks};
}

Result<std::unique_ptr<mil::Function>> build_some(const Params& params, const Sizes& sizes,
                                                  DType dtype,
                                                  const std::string& name = "forward") {
  const PreparedWeights weights = TRY(prepare(params, some_weights(params), dtype));
  return build(params, weights, options_of(params, sizes, dtype, name));
}

Result<Params> shared_params(const std::string& model) {
  const auto path = testing::shared_data("golden/models/" + model + "/params.json");
  return params_from_meta(TRY(parse_json(TRY(read_text_file(path)))));
}

Params graph_params() {
  Params params;
  params.dim = 16;
  params.n_layers = 2;
  params.n_heads = 4;
  params.n_kv_heads = 2;
  params.head_dim = 4;
  params.hidden_dim = 24;
  params.vocab_size = 40;
  return params;
}

std::vector<std::string> names(const std::vector<mil::Value*>& values) {
  std::vector<std::string> found;
  for (const mil::Value* value : values) found.push_back(value->name);
  return found;
}

int count(const mil::Function& function, std::string_view type) {
  return static_cast<int>(std::count_if(function.ops.begin(), function.ops.end(),
                                        [&](const auto& op) { return op->type == type; }));
}

// --- Against upstream's programs ---

struct Golden {
  std::string name, model;
  int64_t context, prefill;
  bool single = false, named_weights = false, breaks = true;
};

class GoldenGraph : public ::testing::TestWithParam<Golden> {};

// Inputs with their order and names, outputs with their order, and what each output computes from
// them, for every partition of every method.
TEST_P(GoldenGraph, ComputesWhatUpstreamComputes) {
  const Golden& golden = GetParam();
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/mil");
  const auto params = shared_params(golden.model);
  ASSERT_OK(params);
  const DType dtype = golden.name.find("fp32") == std::string::npos ? DType::F16 : DType::F32;

  for (const bool decode : {true, false}) {
    if (decode && golden.single) continue;
    Sizes options;
    options.tokens = decode ? 1 : golden.prefill;
    options.cache_len = golden.context - (golden.single ? golden.prefill : 1);
    options.last_logits_only = !golden.single;
    options.graph_breaks = golden.breaks;
    const auto function =
        build_some(*params, options, dtype, decode || golden.single ? "forward" : "prefill");
    ASSERT_OK(function);
    const auto cut = passes::cut_at_breaks(**function, {leading_partition_inputs(), {}});
    ASSERT_OK(cut);
    ASSERT_EQ(cut->partitions.size(), golden.breaks ? 3u : 1u);
    for (size_t i = 0; i < cut->partitions.size(); ++i) {
      SCOPED_TRACE(fmt::format("{} partition {}", (*function)->name, i));
      const auto listing = read_listing(
          testing::shared_data(fmt::format("golden/mil/{}.part{}.txt", golden.name, i)));
      ASSERT_OK(listing);
      ASSERT_EQ(listing->size(), golden.single ? 1u : 2u);
      const Flow& theirs = (*listing)[decode || golden.single ? 0 : 1];
      const Flow ours = flow_of(*cut->partitions[i].function);
      EXPECT_EQ(histogram(ours), histogram(theirs));
      EXPECT_EQ(difference(ours, theirs, {golden.named_weights}), "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Upstream, GoldenGraph,
    ::testing::Values(Golden{"st_multi_fp16_none", "stories", 512, 64, false, true},
                      Golden{"st_multi_fp32_none", "stories", 512, 32, false, true},
                      Golden{"gqau_multi_fp32_none", "gqa_untied", 256, 32, false, true},
                      Golden{"gqau_multi_fp16_b4w_e432", "gqa_untied", 256, 32},
                      Golden{"gqau_multi_fp16_c4w_e80", "gqa_untied", 256, 32},
                      Golden{"gqau_single_fp16_c4w_e80", "gqa_untied", 256, 32, true},
                      Golden{"st_multi_fp16_c4w_e80", "stories", 512, 32},
                      Golden{"st_multi_fp16_c4w_e432", "stories", 512, 32},
                      Golden{"st_single_fp16_c4w_e80", "stories", 512, 32, true},
                      Golden{"st_multi_fp16_c4w_e80_nobreaks", "stories", 512, 32, false, false,
                             false},
                      Golden{"wide_multi_fp16_c4w_e80", "wide", 256, 32},
                      Golden{"wide_single_fp16_c4w_e80", "wide", 256, 32, true},
                      Golden{"qkn_multi_fp32_c4w_e80", "qknorm", 256, 32},
                      Golden{"qkn_single_fp32_c4w_e80", "qknorm", 256, 32, true},
                      Golden{"bias_multi_fp16_c4w_e80_nosplit", "bias_static", 256, 32}),
    [](const auto& golden) { return golden.param.name; });

// --- Without upstream's files ---

TEST(Graph, HasTheMethodsInterface) {
  const Params params = graph_params();
  const Sizes options{8, 24, true, true};
  const auto function = build_some(params, options, DType::F16);
  ASSERT_OK(function);
  EXPECT_THAT(
      names((*function)->inputs),
      ElementsAre("tokens", "attn_options_masks_24", "attn_options_freqs_cos_override",
                  "attn_options_freqs_sin_override", "attn_options_in_cache_state_0_l0_h0",
                  "attn_options_in_cache_state_0_l1_h0", "attn_options_in_cache_state_1_l0_h0",
                  "attn_options_in_cache_state_1_l1_h0", "attn_options_last_valid_token_pos"));
  EXPECT_THAT(names((*function)->outputs),
              ElementsAre("logits", "new_k_0", "new_k_1", "new_v_0", "new_v_1"));
  EXPECT_EQ(to_string((*function)->inputs.back()->type), "int32[1]");
  const GraphOptions of = options_of(params, options, DType::F16);
  const auto method = contract::signature(of.model, of.method);
  ASSERT_OK(method);
  EXPECT_EQ(to_string(method->inputs.back().type), "int64[1]");
  for (size_t i = 0; i < method->outputs.size(); ++i) {
    EXPECT_EQ(method->outputs[i].type, (*function)->outputs[i]->type) << i;
  }
  EXPECT_EQ(to_string((*function)->outputs[0]->type), "fp16[1,1,40]");
}

TEST(Graph, OrdersThePartitionsInputs) {
  Params params = graph_params();
  const auto inputs_of = [&](bool breaks) {
    const auto function = build_some(params, {1, 7, true, breaks}, DType::F16).value();
    const auto cut = passes::cut_at_breaks(*function).value();
    std::string text;
    for (const mil::Value* input : cut.partitions[breaks ? 1 : 0].function->inputs) {
      std::string name = input->name;
      for (const std::string_view prefix :
           {"attn_options_", "in_cache_state_", "executorch_utils_graph_", "freqs_"}) {
        if (name.starts_with(prefix)) name = name.substr(prefix.size());
      }
      text += name + " ";
    }
    return text;
  };
  EXPECT_EQ(inputs_of(true),
            "break_tensor 1_l0_h0 cos_override sin_override 0_l0_h0 masks_7 1_l1_h0 0_l1_h0 ");
  EXPECT_EQ(inputs_of(false),
            "tokens cos_override sin_override 0_l0_h0 1_l0_h0 masks_7 0_l1_h0 1_l1_h0 "
            "last_valid_token_pos ");
  params.use_hf_rope = true;
  EXPECT_EQ(inputs_of(true),
            "cos_override sin_override break_tensor 1_l0_h0 0_l0_h0 masks_7 1_l1_h0 0_l1_h0 ");
  EXPECT_EQ(inputs_of(false),
            "tokens cos_override sin_override 0_l0_h0 1_l0_h0 masks_7 0_l1_h0 1_l1_h0 "
            "last_valid_token_pos ");
}

// Counts seen in upstream's exports of such models.
TEST(Graph, LeavesOutReshapesThatChangeNothing) {
  Params params = graph_params();
  params.n_layers = 1;
  const auto reshapes = [&](int64_t heads, int64_t kv_heads) {
    params.n_heads = heads;
    params.n_kv_heads = kv_heads;
    return count(*build_some(params, {8, 24, false, true}, DType::F16).value(), "reshape");
  };
  EXPECT_EQ(reshapes(4, 2), 11);
  EXPECT_EQ(reshapes(4, 4), 11);
  EXPECT_EQ(reshapes(4, 1), 6);
  EXPECT_EQ(reshapes(1, 1), 6);
}

TEST(Graph, IndicesTakeSixteenBitsWhereTheyFit) {
  Params params = graph_params();
  const Sizes options{8, 24, true, true};
  params.vocab_size = 32767;
  EXPECT_EQ(count(*build_some(params, options, DType::F16).value(), "cast"), 6);
  EXPECT_EQ(count(*build_some(params, options, DType::F32).value(), "cast"), 0);
  params.vocab_size = 32768;
  EXPECT_EQ(count(*build_some(params, options, DType::F16).value(), "cast"), 3);
  // A program's second gather is indexed by unsigned numbers and has no guard.
  const auto whole = build_some(params, {8, 24, true, false}, DType::F16);
  ASSERT_OK(whole);
  EXPECT_EQ(count(**whole, "cast"), 1);
  EXPECT_EQ(count(**whole, "select"), 1);
}

TEST(Graph, QkNormStaysInTheModelsTypeAndSquaresNothingLarge) {
  Params params = graph_params();
  params.use_qk_norm = true;
  for (const bool before : {false, true}) {
    params.qk_norm_before_rope = before;
    const auto function = build_some(params, {8, 24, true, true}, DType::F16);
    ASSERT_OK(function);
    EXPECT_EQ(count(**function, "square"), 4);  // q and k of two layers
    for (const auto& op : (*function)->ops) {
      if (op->type != "square") continue;
      EXPECT_EQ(op->result()->type.dtype, DType::F16);
      EXPECT_EQ(op->operand("x")->producer->type, "real_div");
    }
    // New keys are normalised and rotated, whichever comes first.
    const mil::Op* last = (*function)->outputs[1]->producer;
    EXPECT_EQ(last->type, before ? "reshape" : "mul");
  }
  params.qk_norm_affine = false;
  const auto scaleless = build_some(params, {8, 24, true, true}, DType::F16);
  ASSERT_OK(scaleless);
  EXPECT_EQ(count(**scaleless, "square"), 0);
  EXPECT_EQ(count(**scaleless, "rsqrt"), 9);
}

TEST(Graph, MethodsShareWeights) {
  const Params params = graph_params();
  const auto weights = prepare(params, some_weights(params), DType::F16);
  ASSERT_OK(weights);
  const auto forward =
      build(params, *weights, options_of(params, {1, 31, true, true}, DType::F16, "forward"));
  const auto prefill =
      build(params, *weights, options_of(params, {8, 31, true, true}, DType::F16, "prefill"));
  ASSERT_OK(forward);
  ASSERT_OK(prefill);
  int shared = 0;
  for (const mil::Value* constant : (*forward)->constants()) {
    if (constant->name.find("_weight") == std::string::npos &&
        constant->name.find("_bias") == std::string::npos) {
      continue;
    }
    const mil::Value* other = (*prefill)->find(constant->name);
    ASSERT_NE(other, nullptr) << constant->name;
    EXPECT_EQ(constant->weight, other->weight) << constant->name;
    ++shared;
  }
  EXPECT_EQ(shared, 3 + 2 * 9 + 4);  // all tensors, and zero biases of four widths
}

TEST(Graph, PrintsAndParses) {
  Params params = graph_params();
  params.attention_qkv_bias = true;
  mil::Program program;
  program.functions.push_back(build_some(params, {8, 24, false, true}, DType::F16).value());
  const std::string text = mil::print(program);
  const auto blobs = [](std::string_view, const TensorType& type) -> Result<WeightRef> {
    return zeros(type);
  };
  const auto again = mil::parse(text, blobs);
  ASSERT_OK(again);
  EXPECT_EQ(flow_of(*again->functions[0]).order.size(), program.functions[0]->ops.size());
}

TEST(Graph, RefusesImpossibleSizes) {
  const Params params = graph_params();
  EXPECT_FALSE(build_some(params, {0, 24, true, true}, DType::F16));
  EXPECT_FALSE(build_some(params, {8, 0, true, true}, DType::F16));
  EXPECT_FALSE(build_some(params, {8, -1, true, true}, DType::F16));
  EXPECT_FALSE(build_some(params, {8, int64_t{1} << 40, true, true}, DType::F16));
  EXPECT_FALSE(build_some(params, {8, 24, true, true}, DType::BF16));
}

}  // namespace
}  // namespace diptych::llama
