#include "llama/inventory.h"

#include <algorithm>
#include <array>

namespace diptych::llama {

namespace {

using enum TensorKind;

constexpr TensorRow kBeforeLayers[] = {
    {.role = {"tok_embeddings", "model.embed_tokens", "token_embd"},
     .kind = Embedding,
     .block = Block::Embedding,
     .rows = Extent::Vocabulary,
     .columns = Extent::Dim,
     .of_model = &LlamaWeights::tok_embeddings},
};

constexpr TensorRow kAfterLayers[] = {
    {.role = {"norm", "model.norm", "output_norm"},
     .kind = Norm,
     .block = Block::Head,
     .of_model = &LlamaWeights::norm},
    {.role = {"output", "lm_head", "output"},
     .kind = Linear,
     .block = Block::Head,
     .rows = Extent::Vocabulary,
     .columns = Extent::Dim,
     .presence = Presence::Untied,
     .of_model = &LlamaWeights::output},
};

constexpr RoleName kLayer{"layers", "model.layers", "blk"};

constexpr RoleName kQ{"attention.wq", "self_attn.q_proj", "attn_q"};
constexpr RoleName kK{"attention.wk", "self_attn.k_proj", "attn_k"};
constexpr RoleName kV{"attention.wv", "self_attn.v_proj", "attn_v"};
constexpr RoleName kO{"attention.wo", "self_attn.o_proj", "attn_output"};
constexpr RoleName kGate{"feed_forward.w1", "mlp.gate_proj", "ffn_gate"};
constexpr RoleName kDown{"feed_forward.w2", "mlp.down_proj", "ffn_down"};
constexpr RoleName kUp{"feed_forward.w3", "mlp.up_proj", "ffn_up"};

constexpr TensorRow kOfLayer[] = {
    {.role = {"attention_norm", "input_layernorm", "attn_norm"},
     .kind = Norm,
     .presence = Presence::PreNorms,
     .of_layer = &LayerWeights::attention_norm},
    {.role = kQ,
     .static_name = "attention.wqs.0",
     .rows = Extent::Queries,
     .columns = Extent::Dim,
     .fusion = Fusion::Qkv,
     .turned = true,
     .of_layer = &LayerWeights::wq},
    {.role = kQ,
     .static_name = "attention.wqs.0",
     .kind = Bias,
     .rows = Extent::Queries,
     .presence = Presence::QkvBias,
     .turned = true,
     .of_layer = &LayerWeights::bq},
    {.role = kK,
     .static_name = "attention.wks.0",
     .rows = Extent::Keys,
     .columns = Extent::Dim,
     .fusion = Fusion::Qkv,
     .turned = true,
     .of_layer = &LayerWeights::wk},
    {.role = kK,
     .static_name = "attention.wks.0",
     .kind = Bias,
     .rows = Extent::Keys,
     .presence = Presence::QkvBias,
     .turned = true,
     .of_layer = &LayerWeights::bk},
    {.role = kV,
     .static_name = "attention.wvs.0",
     .rows = Extent::Keys,
     .columns = Extent::Dim,
     .fusion = Fusion::Qkv,
     .of_layer = &LayerWeights::wv},
    {.role = kV,
     .static_name = "attention.wvs.0",
     .kind = Bias,
     .rows = Extent::Keys,
     .presence = Presence::QkvBias,
     .of_layer = &LayerWeights::bv},
    {.role = kO, .columns = Extent::Queries, .of_layer = &LayerWeights::wo},
    {.role = kO, .kind = Bias, .presence = Presence::OutputBias, .of_layer = &LayerWeights::bo},
    {.role = {"attention.q_norm", "self_attn.q_norm", "attn_q_norm"},
     .static_name = "attention.q_norm_fn",
     .kind = HeadNorm,
     .rows = Extent::QueryNorm,
     .presence = Presence::QkNorm,
     .turned = true,
     .of_layer = &LayerWeights::q_norm},
    {.role = {"attention.k_norm", "self_attn.k_norm", "attn_k_norm"},
     .static_name = "attention.k_norm_fn",
     .kind = HeadNorm,
     .rows = Extent::KeyNorm,
     .presence = Presence::QkNorm,
     .turned = true,
     .of_layer = &LayerWeights::k_norm},
    {.role = {"post_attention_norm", "post_attention_layernorm", "post_attention_norm"},
     .kind = Norm,
     .presence = Presence::PostNorms,
     .of_layer = &LayerWeights::post_attention_norm},
    {.role = {"ffn_norm", "post_attention_layernorm", "ffn_norm", "pre_feedforward_layernorm"},
     .kind = Norm,
     .block = Block::FeedForward,
     .presence = Presence::PreNorms,
     .of_layer = &LayerWeights::ffn_norm},
    {.role = kGate,
     .block = Block::FeedForward,
     .rows = Extent::Hidden,
     .columns = Extent::Dim,
     .fusion = Fusion::GateUp,
     .of_layer = &LayerWeights::w1},
    {.role = kGate,
     .kind = Bias,
     .block = Block::FeedForward,
     .rows = Extent::Hidden,
     .presence = Presence::FfnBias,
     .of_layer = &LayerWeights::b1},
    {.role = kDown,
     .block = Block::FeedForward,
     .columns = Extent::Hidden,
     .of_layer = &LayerWeights::w2},
    {.role = kDown,
     .kind = Bias,
     .block = Block::FeedForward,
     .presence = Presence::FfnBias,
     .of_layer = &LayerWeights::b2},
    {.role = kUp,
     .block = Block::FeedForward,
     .rows = Extent::Hidden,
     .columns = Extent::Dim,
     .fusion = Fusion::GateUp,
     .of_layer = &LayerWeights::w3},
    {.role = kUp,
     .kind = Bias,
     .block = Block::FeedForward,
     .rows = Extent::Hidden,
     .presence = Presence::FfnBias,
     .of_layer = &LayerWeights::b3},
    {.role = {"post_ffn_norm", "post_feedforward_layernorm", "post_ffw_norm"},
     .kind = Norm,
     .block = Block::FeedForward,
     .presence = Presence::PostNorms,
     .of_layer = &LayerWeights::post_ffn_norm},
};

// By Fusion. Meta's checkpoints have none.
constexpr std::array<RoleName, kFusions> kFused = {{
    {},
    {"", "self_attn.qkv_proj", "attn_qkv"},
    {"", "mlp.gate_up_proj", "ffn_up"},
}};

int64_t size_of(Extent extent, const Params& params) {
  switch (extent) {
    case Extent::None:
      break;
    case Extent::Vocabulary:
      return params.vocab_size;
    case Extent::Dim:
      return params.dim;
    case Extent::Queries:
      return params.q_dim();
    case Extent::Keys:
      return params.kv_dim();
    case Extent::QueryNorm:
      return params.qk_norm_whole ? params.q_dim() : params.head_dim;
    case Extent::KeyNorm:
      return params.qk_norm_whole ? params.kv_dim() : params.head_dim;
    case Extent::Hidden:
      return params.hidden_dim;
  }
  return 1;
}

std::string layer_tensor(Dialect dialect, size_t layer, std::string_view role,
                         std::string_view ending) {
  return fmt::format("{}.{}.{}.{}", kLayer.in(dialect), layer, role, ending);
}

std::string_view ending(TensorKind kind) { return kind == Bias ? "bias" : "weight"; }

}  // namespace

std::string_view RoleName::in(Dialect dialect) const {
  switch (dialect) {
    case Dialect::Meta:
      return meta;
    case Dialect::Gguf:
      return gguf;
    case Dialect::HuggingFacePost:
      if (!hugging_face_post.empty()) return hugging_face_post;
      break;
    case Dialect::HuggingFace:
      break;
  }
  return hugging_face;
}

const WeightRef& TensorRow::in(const LlamaWeights& weights, size_t layer) const {
  return of_layer != nullptr ? weights.layers[layer].*of_layer : weights.*of_model;
}

WeightRef& TensorRow::in(LlamaWeights& weights, size_t layer) const {
  return of_layer != nullptr ? weights.layers[layer].*of_layer : weights.*of_model;
}

std::string TensorRow::name(Dialect dialect, size_t layer) const {
  const std::string_view own = role.in(dialect);
  return of_layer != nullptr ? layer_tensor(dialect, layer, own, ending(kind))
                             : fmt::format("{}.{}", own, ending(kind));
}

std::vector<std::string> TensorRow::accepted_names(Dialect dialect, size_t layer) const {
  std::vector<std::string> names = {name(dialect, layer)};
  if (dialect == Dialect::Meta && !static_name.empty()) {
    names.push_back(layer_tensor(dialect, layer, static_name, ending(kind)));
  }
  return names;
}

Shape TensorRow::shape(const Params& params) const {
  if (columns == Extent::None) return {size_of(rows, params)};
  return {size_of(rows, params), size_of(columns, params)};
}

bool TensorRow::is_in(const Params& params) const {
  switch (presence) {
    case Presence::QkvBias:
      return params.attention_qkv_bias;
    case Presence::OutputBias:
      return params.attention_output_bias;
    case Presence::FfnBias:
      return params.ffn_bias;
    case Presence::QkNorm:
      return params.use_qk_norm && params.qk_norm_affine;
    case Presence::PreNorms:
      return params.pre_norms;
    case Presence::PostNorms:
      return params.post_norms;
    case Presence::Always:
    case Presence::Untied:
      break;
  }
  return true;
}

std::span<const TensorRow> layer_rows() { return kOfLayer; }

const TensorRow& tensor_row(WeightRef LlamaWeights::*member) {
  const auto is_it = [&](const TensorRow& row) { return row.of_model == member; };
  const auto* found = std::ranges::find_if(kBeforeLayers, is_it);
  return found != std::end(kBeforeLayers) ? *found : *std::ranges::find_if(kAfterLayers, is_it);
}

std::vector<PlacedTensor> all_tensors(size_t layers, std::span<const TensorRow> of_layer) {
  std::vector<PlacedTensor> tensors;
  const auto add = [&](std::span<const TensorRow> rows, size_t layer) {
    for (const TensorRow& row : rows) tensors.push_back({&row, layer});
  };
  add(kBeforeLayers, 0);
  for (size_t layer = 0; layer < layers; ++layer) add(of_layer, layer);
  add(kAfterLayers, 0);
  return tensors;
}

std::vector<const TensorRow*> fused_parts(Fusion fusion) {
  std::vector<const TensorRow*> parts;
  for (const TensorRow& row : kOfLayer) {
    if (row.fusion == fusion) parts.push_back(&row);
  }
  return parts;
}

std::string fused_name(Fusion fusion, Dialect dialect, size_t layer) {
  return layer_tensor(dialect, layer, kFused.at(static_cast<size_t>(fusion)).in(dialect), "weight");
}

}  // namespace diptych::llama
