// The inventory of a model's tensors: a row says where a tensor is kept, what each dialect calls
// it, its shape, and which models have it. Whatever goes through a model's tensors goes through
// these rows: a new tensor is a member below and a row in inventory.cc, a new dialect is a new
// column of names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llama/layout.h"
#include "llama/params.h"
#include "tensor/weight.h"

namespace diptych::llama {

// Dimensions as in Params: D dim, H heads, K kv heads, d head_dim, F hidden_dim, V vocab_size.
struct LayerWeights {
  WeightRef attention_norm;       // [D]; null without pre_norms
  WeightRef wq;                   // [H*d, D]
  WeightRef wk;                   // [K*d, D]
  WeightRef wv;                   // [K*d, D]
  WeightRef wo;                   // [D, H*d]
  WeightRef bq, bk, bv;           // [H*d], [K*d], [K*d]; null without attention_qkv_bias
  WeightRef bo;                   // [D]; null without attention_output_bias
  WeightRef q_norm, k_norm;       // [d]; null without use_qk_norm or without qk_norm_affine;
                                  // [H*d], [K*d] with qk_norm_whole
  WeightRef post_attention_norm;  // [D]; null without post_norms
  WeightRef ffn_norm;             // [D]; null without pre_norms
  WeightRef w1;                   // [F, D], gate
  WeightRef w2;                   // [D, F], down
  WeightRef w3;                   // [F, D], up
  WeightRef b1, b2, b3;           // [F], [D], [F]; null without ffn_bias
  WeightRef post_ffn_norm;        // [D]; null without post_norms
};

// What a trained adapter adds to linears of the layers: scale * b * a each, of some rank r.
struct Adapter {
  std::string name;  // of the methods that compute with it
  double scale = 1;
  // In the places of the linears that it adds to, by layer; null elsewhere.
  std::vector<LayerWeights> a;  // [r, in]
  std::vector<LayerWeights> b;  // [out, r]
};

struct LlamaWeights {
  WeightRef tok_embeddings;  // [V, D]
  std::vector<LayerWeights> layers;
  WeightRef norm;  // [D]
  // [D, D]; what comes after the last norm in place of its gain where the stream is rotated and the
  // head is the embedding (rotate.h), else null. No checkpoint has it.
  WeightRef rotated_gain;
  WeightRef output;               // [V, D]; the same object as tok_embeddings when the two are tied
  std::vector<Adapter> adapters;  // what methods of their own compute beside the model

  bool tied() const { return output == tok_embeddings; }
};

// The name of a tensor in each dialect, within its layer and without ending.
struct RoleName {
  std::string_view meta, hugging_face, gguf;
  std::string_view hugging_face_post = {};  // empty: as hugging_face

  std::string_view in(Dialect dialect) const;
};

// What a tensor is to those who make, cast or quantise it.
enum class TensorKind : uint8_t { Embedding, Linear, Bias, HeadNorm, Norm };
// The part of the model that it belongs to, in the order of computation.
enum class Block : uint8_t { Embedding, Attention, FeedForward, Head };
// A dimension of a shape: V, D, H*d, K*d, what the norm of q and that of k is over, F.
enum class Extent : uint8_t { None, Vocabulary, Dim, Queries, Keys, QueryNorm, KeyNorm, Hidden };
// Which models have it. One that says Untied is the embedding in others.
enum class Presence : uint8_t {
  Always,
  QkvBias,
  OutputBias,
  FfnBias,
  QkNorm,
  PreNorms,
  PostNorms,
  Untied
};
// The matrix that holds its rows, after those of its row's predecessors, in a fused layout.
enum class Fusion : uint8_t { None, Qkv, GateUp };
inline constexpr size_t kFusions = 3;

struct TensorRow {
  RoleName role = {};
  // What upstream's static attention calls it in Meta's checkpoints ("attention.wqs.0": q, k and v
  // are lists of one there), if anything else. Both names are accepted.
  std::string_view static_name = {};
  TensorKind kind = TensorKind::Linear;
  Block block = Block::Attention;
  Extent rows = Extent::Dim, columns = Extent::None;  // without columns it is a vector
  Presence presence = Presence::Always;
  Fusion fusion = Fusion::None;
  bool turned = false;  // by RoPE: its rows are channels in pairs or in halves
  // Where it is kept; one of the two.
  WeightRef LayerWeights::*of_layer = nullptr;
  WeightRef LlamaWeights::*of_model = nullptr;

  // The tensor's place. `layer` means nothing for a tensor of no layer, here and below.
  const WeightRef& in(const LlamaWeights& weights, size_t layer) const;
  WeightRef& in(LlamaWeights& weights, size_t layer) const;

  // "model.layers.3.self_attn.q_proj.weight" and the like.
  std::string name(Dialect dialect, size_t layer = 0) const;
  // The same and, where there is one, the static attention's.
  std::vector<std::string> accepted_names(Dialect dialect, size_t layer = 0) const;

  Shape shape(const Params& params) const;
  // Whether a model has it, be it as the embedding.
  bool is_in(const Params& params) const;
};

// The rows of a layer, in the order of the model.
std::span<const TensorRow> layer_rows();
// The row of a tensor that belongs to no layer.
const TensorRow& tensor_row(WeightRef LlamaWeights::*member);

// A tensor of a model.
struct PlacedTensor {
  const TensorRow* row = nullptr;
  size_t layer = 0;
};
// All that a model of so many layers can have, in the order of the model; layers have the rows
// `of_layer`, which must outlive the result, in that order.
std::vector<PlacedTensor> all_tensors(size_t layers,
                                      std::span<const TensorRow> of_layer = layer_rows());

// --- Fused layouts ---

// The rows of the inventory whose tensors a fused matrix holds, one below the other.
std::vector<const TensorRow*> fused_parts(Fusion fusion);
// Of the matrix: "model.layers.3.self_attn.qkv_proj.weight" and the like.
std::string fused_name(Fusion fusion, Dialect dialect, size_t layer);

}  // namespace diptych::llama
