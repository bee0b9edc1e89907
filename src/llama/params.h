// The shape of a Llama: what Meta's params.json says, with ExecuTorch's defaults, and a little more
// that other sources can say.
// Source: executorch/examples/models/llama/model_args.py. Page: docs/formats/llama_static.md.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych::llama {

// What one of the model's RoPE tables holds: the angle of channels 2j and 2j+1 grows by
// theta^(-2j/d) a position, and is scaled by at most one of what follows.
struct RopeParams {
  double theta = 10000.0;
  bool llama3 = false;  // Llama 3's scaling, with the three numbers that follow and trained_context
  double scale_factor = 8;
  double high_freq_factor = 4;
  double low_freq_factor = 1;  // this and trained_context are constants in params.json's world
  double linear_factor = 1;    // positions are divided by it ("linear" scaling)
  std::vector<float> factors;  // [d/2] what each frequency is divided by, or empty
  // LongRoPE: what they are divided by where the context is longer than trained_context, and
  // `factors` where it is not; for_context() decides. Empty: no LongRoPE, or decided.
  std::vector<float> long_factors;
  double trained_context = 8192;
  double attention_factor = 1;  // of cosines and sines
  int64_t channels = 0;         // of each head that are rotated, the first ones; 0: all

  int64_t rotated(int64_t head_dim) const { return channels == 0 ? head_dim : channels; }
  bool operator==(const RopeParams&) const = default;
};

// How a layer differs from others of its model beyond its weights.
struct LayerParams {
  std::optional<int64_t> window;   // positions that a token sees, itself included; nothing: all
  std::optional<size_t> rope = 0;  // which of the model's tables; nothing: no RoPE

  bool operator==(const LayerParams&) const = default;
};

// What the gate of the feed-forward layer goes through.
enum class Activation : uint8_t { Silu, GeluTanh };

// Every field is set and checked: sizes are positive, n_kv_heads divides n_heads, head_dim is even,
// and the bytes of the whole model fit 64 bits whatever the element type.
struct Params {
  int64_t dim = 4096;          // D, width of the residual stream
  int64_t n_layers = 1;        // L
  int64_t n_heads = 32;        // H, query heads
  int64_t n_kv_heads = 32;     // K, key and value heads
  int64_t head_dim = 128;      // d, need not be D / H
  int64_t hidden_dim = 11008;  // F, width of the feed-forward layer
  int64_t vocab_size = 512;    // V
  double norm_eps = 1e-5;

  bool use_hf_rope = false;  // rotate halves (x[j], x[j+d/2]) instead of pairs (x[2j], x[2j+1])
  std::vector<RopeParams> ropes = {RopeParams{}};  // at least one; each is of some layer

  bool attention_qkv_bias = false;
  bool attention_output_bias = false;
  bool ffn_bias = false;  // of all three linears
  bool use_qk_norm = false;
  bool qk_norm_before_rope = false;
  bool qk_norm_affine = true;  // q/k norms have weights
  bool qk_norm_whole = false;  // over all heads together, before RoPE, not over each

  // Where a layer's two blocks have norms: at what they take, at what they add, or at both.
  bool pre_norms = true;
  bool post_norms = false;
  Activation act_fn = Activation::Silu;

  double embedding_scale_factor = 1;
  std::optional<double> attention_multiplier;  // of scores, 1 / sqrt(d) if there is none
  double residual_multiplier = 1;              // of what a block adds
  double logits_scaling = 1;                   // logits are divided by it
  // What the stream between blocks is multiplied by so that fp16 holds it, a power of two. Where
  // blocks normalise what they take and what they add, nothing else changes (scales_residual()).
  double residual_scale = 1;
  // c * tanh(x / c) of scores before the mask, and of logits.
  std::optional<double> attn_logit_softcapping, final_logit_softcapping;

  std::vector<LayerParams> layers;  // [n_layers], or empty: all are as LayerParams{} says

  LayerParams layer(size_t index) const {
    return layers.empty() ? LayerParams{} : layers.at(index);
  }
  bool scales_residual() const { return pre_norms && post_norms; }
  double score_scale() const;  // what products of q and k are multiplied by
  int64_t heads_per_group() const { return n_heads / n_kv_heads; }  // G
  int64_t q_dim() const { return n_heads * head_dim; }
  int64_t kv_dim() const { return n_kv_heads * head_dim; }
  // Channels of a head that RoPE turns, the same in all tables.
  int64_t rotated() const { return ropes.front().rotated(head_dim); }
  // Columns of the RoPE tables: one per pair, or (use_hf_rope) one per channel.
  int64_t rope_dim() const { return use_hf_rope ? head_dim : head_dim / 2; }
};

// The parameters of a model whose context is fixed. Windows that are not smaller than it are none,
// LongRoPE is the factors for it: unlike the reference, which changes them once a text is longer
// than trained_context, tables of an export do not change.
Params for_context(Params params, int64_t max_context_len);

// Reads a params.json. One error lists everything that is wrong: keys that upstream does not know,
// keys that are known but not implemented and not at their neutral value, values of the wrong kind
// or out of range, and values that contradict one another.
Result<Params> params_from_meta(const Json& json);

}  // namespace diptych::llama
