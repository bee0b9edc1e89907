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

  // What the mathematics and the tensors have beyond a Llama's.
  bool qkv_bias;    // q, k and v have biases
  bool qk_norm;     // heads of q and k are normalised before RoPE
  bool fused;       // one matrix for q, k, v, another for gate and up
  bool gguf_pairs;  // GGUF files have RoPE's channels in pairs already

  // What config.json means when it does not say.
  double norm_eps;
  std::optional<int64_t> kv_heads;  // none: as many as heads
  std::optional<int64_t> head_dim;  // none: hidden_size / heads
  std::optional<int64_t> window;    // sliding_window
  bool window_switch;               // sliding_window counts only with use_sliding_window
  bool rope_scales;                 // RoPE may be linear or llama3
};

std::span<const Family> families();

// Whether `architecture` names the family's model, be it without the head ("LlamaModel").
bool is_architecture(const Family& family, std::string_view architecture);
// By Family::name; an error lists the known ones.
Result<const Family*> family_from_name(std::string_view name);

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
