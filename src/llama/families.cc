#include "llama/families.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace diptych::llama {

namespace {

constexpr std::array kFamilies = {
    Family{
        .name = "llama",
        .architecture = "LlamaForCausalLM",
        .model_type = "llama",
        .gguf = "llama",
        .title = "Llama 2, 3, 3.1, 3.2 and all that share its form (TinyLlama, SmolLM2, …)",
        .gguf_pairs = true,
        .window_switch = true,  // sliding_window alone is not read for a Llama
        .attention_bias = true,
        .mlp_bias = true,
    },
    Family{
        .name = "mistral",
        .architecture = "MistralForCausalLM",
        .model_type = "mistral",
        .gguf = "llama",
        .title = "Mistral, up to its window",
        .gguf_pairs = true,
        .kv_heads = 8,
        .window = 4096,
    },
    Family{
        .name = "qwen2",
        .architecture = "Qwen2ForCausalLM",
        .model_type = "qwen2",
        .gguf = "qwen2",
        .title = "Qwen 2 and 2.5",
        .qkv_bias = true,
        .kv_heads = 32,
        .window = 4096,
        .window_switch = true,
    },
    Family{
        .name = "qwen3",
        .architecture = "Qwen3ForCausalLM",
        .model_type = "qwen3",
        .gguf = "qwen3",
        .title = "Qwen 3 (dense)",
        .qk_norm = true,
        .kv_heads = 32,
        .head_dim = 128,
        .window = 4096,
        .window_switch = true,
        .attention_bias = true,
    },
    Family{
        .name = "phi3",
        .architecture = "Phi3ForCausalLM",
        .model_type = "phi3",
        .gguf = "phi3",
        .title = "Phi-3 and Phi-4",
        .fused = true,
        .norm_eps = 1e-5,
        .rope_scales = false,
        .partial_rope = true,
    },
    Family{
        .name = "smollm3",
        .architecture = "SmolLM3ForCausalLM",
        .model_type = "smollm3",
        .gguf = "smollm3",
        .title = "SmolLM3",
        .gguf_pairs = true,
        .kv_heads = 4,
        .window_switch = true,
        .no_rope_every = 4,
        .rope_theta = 2e6,
        .tied = true,
        .attention_bias = true,
        .mlp_bias = true,
    },
    Family{
        .name = "granite",
        .architecture = "GraniteForCausalLM",
        .model_type = "granite",
        .gguf = "granite",
        .title = "Granite 3 (dense)",
        .gguf_pairs = true,
        .multipliers = true,
        .window_switch = true,
        .attention_bias = true,
        .mlp_bias = true,
    },
    Family{
        .name = "olmo2",
        .architecture = "Olmo2ForCausalLM",
        .model_type = "olmo2",
        .gguf = "olmo2",
        .title = "OLMo 2",
        .qk_norm_whole = true,
        .pre_norms = false,
        .post_norms = true,
        .norm_eps = 1e-5,
        .window_switch = true,
        .attention_bias = true,
    },
    Family{
        .name = "gemma2",
        .architecture = "Gemma2ForCausalLM",
        .model_type = "gemma2",
        .gguf = "gemma2",
        .title = "Gemma 2",
        .post_norms = true,
        .unit_offset = true,
        .width_scales = true,
        .act_fn = Activation::GeluTanh,
        .kv_heads = 4,
        .head_dim = 256,
        .query_scalar = 256,
        .attention_cap = 50,
        .logits_cap = 30,
        .window = 4096,
        .full_every = 2,
        .tied = true,
        .attention_bias = true,
        .final_cap = true,
        .gguf_wide_scalar = 46,
        .gguf_window = 4096,
    },
    Family{
        .name = "gemma3",
        .architecture = "Gemma3ForCausalLM",
        .model_type = "gemma3_text",
        .gguf = "gemma3",
        .title = "Gemma 3, the text part",
        .whole_architecture = "Gemma3ForConditionalGeneration",
        .whole_type = "gemma3",
        .qk_norm = true,
        .post_norms = true,
        .unit_offset = true,
        .width_scales = true,
        .act_fn = Activation::GeluTanh,
        .heads = 8,
        .vocab = 262208,
        .kv_heads = 4,
        .head_dim = 256,
        .query_scalar = 256,
        .window = 4096,
        .full_every = 6,
        .local_rope_theta = 10000,
        .rope_theta = 1e6,
        .tied = true,
        .attention_bias = true,
        .final_cap = true,
        .gguf_wide_scalar = 62,
    },
};

}  // namespace

std::span<const Family> families() { return kFamilies; }

bool is_architecture(const Family& family, std::string_view architecture) {
  if (architecture == family.architecture) return true;
  constexpr std::string_view kCausal = "ForCausalLM";
  std::string_view stem = family.architecture;
  stem.remove_suffix(kCausal.size());
  return architecture.starts_with(stem) && architecture.substr(stem.size()) == "Model";
}

void set_mathematics(const Family& family, Params* params) {
  params->attention_qkv_bias = family.qkv_bias;
  params->use_qk_norm = params->qk_norm_before_rope = family.qk_norm || family.qk_norm_whole;
  params->qk_norm_whole = family.qk_norm_whole;
  params->pre_norms = family.pre_norms;
  params->post_norms = family.post_norms;
  params->act_fn = family.act_fn;
  if (family.width_scales) {
    params->embedding_scale_factor = std::sqrt(static_cast<double>(params->dim));
  }
}

Result<const Family*> family_from_name(std::string_view name) {
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.name == name) return &family;
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  }
  return invalid_argument("unknown family \"{}\", expected one of {}", name, known);
}

}  // namespace diptych::llama
