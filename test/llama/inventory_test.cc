#include "llama/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace diptych::llama {
namespace {

using ::testing::ElementsAre;

constexpr Dialect kDialects[] = {Dialect::Meta, Dialect::HuggingFace, Dialect::HuggingFacePost,
                                 Dialect::Gguf};

const TensorRow& row_of(WeightRef LayerWeights::*member) {
  for (const TensorRow& row : layer_rows()) {
    if (row.of_layer == member) return row;
  }
  ADD_FAILURE() << "no such row";
  return layer_rows().front();
}

TEST(Inventory, HasARowForEveryMember) {
  LlamaWeights weights;
  weights.layers.resize(2);
  std::set<const WeightRef*> places;
  for (const auto& [row, layer] : all_tensors(2)) {
    EXPECT_NE(row->of_layer == nullptr, row->of_model == nullptr);
    EXPECT_TRUE(places.insert(&row->in(weights, layer)).second) << row->name(Dialect::Meta, layer);
  }
  EXPECT_EQ(layer_rows().size(), sizeof(LayerWeights) / sizeof(WeightRef));
  EXPECT_EQ(places.size(), 2 * layer_rows().size() + 3);
}

TEST(Inventory, NoTwoTensorsOfAModelShareAName) {
  for (const Dialect dialect : kDialects) {
    Params params;
    params.post_norms = dialect == Dialect::HuggingFacePost;
    params.attention_qkv_bias = params.attention_output_bias = params.ffn_bias = true;
    params.use_qk_norm = true;
    std::set<std::string> names;
    size_t count = 0;
    for (const auto& [row, layer] : all_tensors(2)) {
      if (!row->is_in(params)) continue;
      for (const std::string& name : row->accepted_names(dialect, layer)) {
        EXPECT_TRUE(names.insert(name).second) << name;
        ++count;
      }
    }
    EXPECT_EQ(names.size(), count);
  }
}

TEST(Inventory, NamesOfEachDialect) {
  const TensorRow& bias = row_of(&LayerWeights::bk);
  EXPECT_EQ(bias.name(Dialect::Meta, 3), "layers.3.attention.wk.bias");
  EXPECT_EQ(bias.name(Dialect::HuggingFace, 3), "model.layers.3.self_attn.k_proj.bias");
  EXPECT_EQ(bias.name(Dialect::Gguf, 3), "blk.3.attn_k.bias");
  EXPECT_THAT(bias.accepted_names(Dialect::Meta, 3),
              ElementsAre("layers.3.attention.wk.bias", "layers.3.attention.wks.0.bias"));
  EXPECT_THAT(bias.accepted_names(Dialect::Gguf, 3), ElementsAre("blk.3.attn_k.bias"));
  EXPECT_EQ(tensor_row(&LlamaWeights::output).name(Dialect::HuggingFace), "lm_head.weight");
  EXPECT_EQ(tensor_row(&LlamaWeights::tok_embeddings).name(Dialect::Gguf), "token_embd.weight");
  const TensorRow& norm = row_of(&LayerWeights::ffn_norm);
  EXPECT_EQ(norm.name(Dialect::HuggingFace, 0), "model.layers.0.post_attention_layernorm.weight");
  EXPECT_EQ(norm.name(Dialect::HuggingFacePost, 0),
            "model.layers.0.pre_feedforward_layernorm.weight");
  EXPECT_EQ(fused_name(Fusion::Qkv, Dialect::HuggingFace, 1),
            "model.layers.1.self_attn.qkv_proj.weight");
}

TEST(Inventory, ShapesAndPresenceFollowTheParameters) {
  Params params;
  params.dim = 8;
  params.n_heads = 4;
  params.n_kv_heads = 2;
  params.head_dim = 6;
  params.hidden_dim = 10;
  params.vocab_size = 12;
  EXPECT_EQ(row_of(&LayerWeights::wq).shape(params), (Shape{24, 8}));
  EXPECT_EQ(row_of(&LayerWeights::bv).shape(params), (Shape{12}));
  EXPECT_EQ(row_of(&LayerWeights::w2).shape(params), (Shape{8, 10}));
  EXPECT_EQ(row_of(&LayerWeights::q_norm).shape(params), (Shape{6}));
  EXPECT_EQ(tensor_row(&LlamaWeights::output).shape(params), (Shape{12, 8}));
  EXPECT_TRUE(row_of(&LayerWeights::wq).is_in(params));
  EXPECT_FALSE(row_of(&LayerWeights::bq).is_in(params));
  EXPECT_FALSE(row_of(&LayerWeights::k_norm).is_in(params));
  params.attention_qkv_bias = params.use_qk_norm = true;
  EXPECT_TRUE(row_of(&LayerWeights::bq).is_in(params));
  EXPECT_TRUE(row_of(&LayerWeights::k_norm).is_in(params));
  params.qk_norm_affine = false;
  EXPECT_FALSE(row_of(&LayerWeights::k_norm).is_in(params));
  params.qk_norm_whole = true;
  EXPECT_EQ(row_of(&LayerWeights::q_norm).shape(params), (Shape{24}));
  EXPECT_EQ(row_of(&LayerWeights::k_norm).shape(params), (Shape{12}));
  EXPECT_TRUE(row_of(&LayerWeights::ffn_norm).is_in(params));
  EXPECT_FALSE(row_of(&LayerWeights::post_ffn_norm).is_in(params));
  params.pre_norms = false;
  params.post_norms = true;
  EXPECT_FALSE(row_of(&LayerWeights::ffn_norm).is_in(params));
  EXPECT_TRUE(row_of(&LayerWeights::post_ffn_norm).is_in(params));
}

TEST(Inventory, FusedMatricesHoldLinearsInTheirOrder) {
  const auto members = [](Fusion fusion) {
    std::vector<std::string> names;
    for (const TensorRow* part : fused_parts(fusion)) names.push_back(part->name(Dialect::Gguf, 0));
    return names;
  };
  EXPECT_THAT(members(Fusion::Qkv),
              ElementsAre("blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"));
  EXPECT_THAT(members(Fusion::GateUp), ElementsAre("blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"));
}

}  // namespace
}  // namespace diptych::llama
