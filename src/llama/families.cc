#include "llama/families.h"

#include <algorithm>
#include <array>

namespace diptych::llama {

namespace {

constexpr std::array kFamilies = {
    Family{
        .name = "llama",
        .architecture = "LlamaForCausalLM",
        .model_type = "llama",
        .gguf = "llama",
        .title = "Llama 2, 3, 3.1, 3.2 and all that share its form (TinyLlama, SmolLM2, …)",
        .qkv_bias = false,
        .qk_norm = false,
        .fused = false,
        .gguf_pairs = true,
        .norm_eps = 1e-6,
        .kv_heads = {},
        .head_dim = {},
        .window = {},
        .window_switch = true,  // sliding_window alone is not read for a Llama
        .rope_scales = true,
    },
    Family{
        .name = "mistral",
        .architecture = "MistralForCausalLM",
        .model_type = "mistral",
        .gguf = "llama",
        .title = "Mistral, up to its window",
        .qkv_bias = false,
        .qk_norm = false,
        .fused = false,
        .gguf_pairs = true,
        .norm_eps = 1e-6,
        .kv_heads = 8,
        .head_dim = {},
        .window = 4096,
        .window_switch = false,
        .rope_scales = true,
    },
    Family{
        .name = "qwen2",
        .architecture = "Qwen2ForCausalLM",
        .model_type = "qwen2",
        .gguf = "qwen2",
        .title = "Qwen 2 and 2.5",
        .qkv_bias = true,
        .qk_norm = false,
        .fused = false,
        .gguf_pairs = false,
        .norm_eps = 1e-6,
        .kv_heads = 32,
        .head_dim = {},
        .window = 4096,
        .window_switch = true,
        .rope_scales = true,
    },
    Family{
        .name = "qwen3",
        .architecture = "Qwen3ForCausalLM",
        .model_type = "qwen3",
        .gguf = "qwen3",
        .title = "Qwen 3 (dense)",
        .qkv_bias = false,
        .qk_norm = true,
        .fused = false,
        .gguf_pairs = false,
        .norm_eps = 1e-6,
        .kv_heads = 32,
        .head_dim = 128,
        .window = 4096,
        .window_switch = true,
        .rope_scales = true,
    },
    Family{
        .name = "phi3",
        .architecture = "Phi3ForCausalLM",
        .model_type = "phi3",
        .gguf = "phi3",
        .title = "Phi-3 and Phi-4 with full rotary embedding",
        .qkv_bias = false,
        .qk_norm = false,
        .fused = true,
        .gguf_pairs = false,
        .norm_eps = 1e-5,
        .kv_heads = {},
        .head_dim = {},
        .window = {},
        .window_switch = false,
        .rope_scales = false,
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

Result<const Family*> family_from_name(std::string_view name) {
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.name == name) return &family;
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  }
  return invalid_argument("unknown family \"{}\", expected one of {}", name, known);
}

}  // namespace diptych::llama
