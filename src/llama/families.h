// The model families that can be exported: everything that differs between them and the Llama that
// the graph builder knows. Adding a family is adding a row; only different mathematics touches
// graph.cc. Page: docs/formats/families.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "llama/layout.h"
#include "llama/params.h"
#include "tensor/weight.h"

namespace diptych::llama {

struct Family {
  std::string_view name;          // in our options and messages
  std::string_view architecture;  // "architectures" of config.json
  std::string_view model_type;    // the same, shorter
  std::string_view gguf;          // general.architecture; the first family of a name counts
  std::string_view title;
  // Models of which this one is the text part: "architectures" and model_type, with the part's
  // configuration under text_config. Empty: none.
  std::string_view whole_architecture = {}, whole_type = {};

  // What the mathematics and the tensors have beyond a Llama's.
  bool qkv_bias = false;       // q, k and v have biases
  bool qk_norm = false;        // q and k are normalised before RoPE, head by head
  bool qk_norm_whole = false;  // they are, all heads together
  bool fused = false;          // one matrix for q, k, v, another for gate and up
  bool gguf_pairs = false;     // GGUF files have RoPE's channels in pairs already
  bool pre_norms = true;       // blocks normalise what they take
  bool post_norms = false;     // blocks normalise what they add
  bool unit_offset = false;    // gains of norms are 1 + weight; GGUF files hold the sum
  bool width_scales = false;   // embeddings are multiplied by the root of their width
  bool multipliers = false;    // Granite's four numbers count
  Activation act_fn = Activation::Silu;

  // What config.json means when it does not say.
  double norm_eps = 1e-6;
  std::optional<int64_t> heads = {}, vocab = {};  // none: it has to say
  std::optional<int64_t> kv_heads = {};           // none: as many as heads
  std::optional<int64_t> head_dim = {};           // none: hidden_size / heads
  std::optional<int64_t> query_scalar = {};       // none: query_pre_attn_scalar does not count
  std::optional<double> attention_cap = {};       // none: attn_logit_softcapping does not count
  std::optional<double> logits_cap = {};          // none: there is no cap
  std::optional<int64_t> window = {};             // sliding_window
  bool window_switch = false;  // sliding_window counts only with use_sliding_window
  // Layers of several kinds: every so manieth sees all positions and the others a window; every so
  // manieth is not rotated; those with a window are rotated by a base of their own.
  std::optional<int64_t> full_every = {}, no_rope_every = {};
  std::optional<double> local_rope_theta = {};
  double rope_theta = 10000;
  bool tied = false;  // the output is the embedding

  // Which of config.json's keys count.
  bool rope_scales = true;      // RoPE may be linear or llama3
  bool partial_rope = false;    // it may rotate a part of each head
  bool attention_bias = false;  // biases of q, k, v and of the attention's output
  bool mlp_bias = false;        // those of the feed-forward layer
  bool final_cap = false;       // final_logit_softcapping
  // GGUF files do not say query_pre_attn_scalar. It is the width of a head, but in models of so
  // many layers, where it is the model's width divided by the heads.
  std::optional<int64_t> gguf_wide_scalar = {};
  std::optional<int64_t> gguf_window = {};  // of files that do not say, where layers have one

  bool has_layer_kinds() const { return full_every || no_rope_every; }
};

std::span<const Family> families();

// Whether `architecture` names the family's model, be it without the head ("LlamaModel").
bool is_architecture(const Family& family, std::string_view architecture);
// By Family::name; an error lists the known ones.
Result<const Family*> family_from_name(std::string_view name);

// What the family's models have in common, for parameters whose sizes are known.
void set_mathematics(const Family& family, Params* params);

// A model's shape and how its checkpoint is arranged.
struct Description {
  const Family* family = nullptr;
  Params params;
  Layout layout;
};

// Reads a Hugging Face config.json. Unknown architectures, activations and RoPE types are refused
// by name with the list of those known, all that is wrong in one error; keys that do not concern
// the mathematics are ignored.
Result<Description> describe_hugging_face(const Json& config);

// Reads a GGUF file's metadata; `tensors` tell the vocabulary when the metadata does not, and hold
// the factors of RoPE's frequencies. Llama 3's factors are recognised, so that the tables are the
// same as those of other forms of the model.
Result<Description> describe_gguf(const Json& metadata,
                                  std::span<const std::pair<std::string, WeightRef>> tensors);

// Llama 3's RoPE factors as GGUF files have them, one for each of the d/2 frequencies.
std::vector<float> llama3_rope_factors(const RopeParams& rope, int64_t head_dim);

}  // namespace diptych::llama
