// What checkpoints call the tensors of a Llama. One row a role; a new dialect is a new column.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace diptych::llama {

// Whose names (and whose configuration) a checkpoint uses.
enum class Dialect : uint8_t { Meta, HuggingFace, Gguf };

// How a checkpoint arranges the tensors.
struct Layout {
  Dialect dialect = Dialect::Meta;
  bool fused = false;   // q, k and v are one matrix, gate and up another
  bool halves = false;  // RoPE turns channels (j, j + d/2): q and k are to be brought to pairs
  // Whether the output is the embedding: as the checkpoint holds it or not, by its configuration.
  enum class Tied : uint8_t { ByTensors, Yes, No };
  Tied tied = Tied::ByTensors;
};

// The name of one role in each dialect, without prefix and ending.
struct RoleName {
  std::string_view meta, hugging_face, gguf;

  std::string_view in(Dialect dialect) const {
    if (dialect == Dialect::Meta) return meta;
    return dialect == Dialect::HuggingFace ? hugging_face : gguf;
  }
};

namespace names {
inline constexpr RoleName kEmbedding{"tok_embeddings", "model.embed_tokens", "token_embd"};
inline constexpr RoleName kNorm{"norm", "model.norm", "output_norm"};
inline constexpr RoleName kOutput{"output", "lm_head", "output"};

// Of each layer, after "<kLayer>.<number>.".
inline constexpr RoleName kLayer{"layers", "model.layers", "blk"};
inline constexpr RoleName kAttentionNorm{"attention_norm", "input_layernorm", "attn_norm"};
inline constexpr RoleName kQ{"attention.wq", "self_attn.q_proj", "attn_q"};
inline constexpr RoleName kK{"attention.wk", "self_attn.k_proj", "attn_k"};
inline constexpr RoleName kV{"attention.wv", "self_attn.v_proj", "attn_v"};
inline constexpr RoleName kQkv{"", "self_attn.qkv_proj", "attn_qkv"};  // fused
inline constexpr RoleName kO{"attention.wo", "self_attn.o_proj", "attn_output"};
inline constexpr RoleName kQNorm{"attention.q_norm", "self_attn.q_norm", "attn_q_norm"};
inline constexpr RoleName kKNorm{"attention.k_norm", "self_attn.k_norm", "attn_k_norm"};
inline constexpr RoleName kFfnNorm{"ffn_norm", "post_attention_layernorm", "ffn_norm"};
inline constexpr RoleName kGate{"feed_forward.w1", "mlp.gate_proj", "ffn_gate"};
inline constexpr RoleName kUp{"feed_forward.w3", "mlp.up_proj", "ffn_up"};
inline constexpr RoleName kGateUp{"", "mlp.gate_up_proj", "ffn_up"};  // fused
inline constexpr RoleName kDown{"feed_forward.w2", "mlp.down_proj", "ffn_down"};
}  // namespace names

// "model.layers.3.self_attn.q_proj.weight" and the like.
std::string layer_tensor(Dialect dialect, size_t layer, const RoleName& role,
                         std::string_view kind);
// "model.norm.weight" and the like.
std::string model_tensor(Dialect dialect, const RoleName& role);

}  // namespace diptych::llama
