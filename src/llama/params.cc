#include "llama/params.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "llama/layer_types.h"
#include "llama/param_reader.h"

namespace diptych::llama {
namespace {

// Keys that params_from_meta() reads.
constexpr std::string_view kImplemented[] = {
    "dim",
    "n_layers",
    "n_heads",
    "n_kv_heads",
    "head_dim",
    "hidden_dim",
    "multiple_of",
    "ffn_dim_multiplier",
    "vocab_size",
    "norm_eps",
    "rope_theta",
    "rope_freq_base",
    "use_hf_rope",
    "use_scaled_rope",
    "rope_scale_factor",
    "high_freq_factor",
    "use_qk_norm",
    "qk_norm_affine",
    "qk_norm_before_rope",
    "attention_qkv_bias",
    "sliding_window",
    "layer_types",
};

// Keys that have no influence on a static-attention export: the exporter overrides them, they
// belong to other backends, or they refine features whose switch must be off.
constexpr std::string_view kIgnored[] = {
    "attention_kwargs",
    "attention_type",
    "base_model_name_or_path",
    "bos_count",
    "bos_idx",
    "device",
    "eos_count",
    "eos_idx",
    "linear_conv_kernel_dim",
    "linear_key_head_dim",
    "linear_num_key_heads",
    "linear_num_value_heads",
    "linear_value_head_dim",
    "max_batch_size",
    "max_position_embeddings",
    "max_seq_len",
    "model_architecture",
    "moe_hidden_dim",
    "moe_route_scale",
    "moe_score_func",
    "moe_shared_expert_hidden_dim",
    "moe_use_expert_bias",
    "num_activated_experts",
    "num_experts",
    "original_max_position_embeddings",
};

// Keys of features that are not implemented, with the JSON value that means "off".
struct NeutralKey {
  std::string_view key;
  std::string_view value;
};
constexpr NeutralKey kNeutral[] = {
    {"act_fn", "\"silu\""},
    {"apply_embedding", "true"},
    {"apply_output", "true"},
    {"attention_multiplier", "null"},
    {"attn_logit_softcapping", "null"},
    {"embedding_scale_factor", "1.0"},
    {"enable_dynamic_shape", "false"},
    {"final_logit_softcapping", "null"},
    {"input_prune_map", "null"},
    {"kv_io_bit_width", "null"},
    {"local_rope_theta", "null"},
    {"logits_scaling", "null"},
    {"lora_alpha", "null"},
    {"lora_args", "null"},
    {"mlp_type", "null"},
    {"moe", "false"},
    {"no_rope_layer_interval", "null"},
    {"norm_type", "\"rmsnorm\""},
    {"normalize_tok_embeddings", "false"},
    {"num_kv_shared_layers", "0"},
    {"output_bias", "false"},
    {"output_linear_intermediate_dim", "0"},
    {"output_prune_map", "null"},
    {"output_soft_cap_temp", "null"},
    {"partial_rotary_factor", "1.0"},
    {"peft_type", "null"},
    {"post_attention_norm", "false"},
    {"post_ffn_norm", "false"},
    {"quantization_args", "null"},
    {"r", "null"},
    {"residual_multiplier", "null"},
    {"rms_norm_add_unit_offset", "false"},
    {"rope_scaling_attention_factor", "null"},
    {"rope_scaling_long_factor", "null"},
    {"rope_scaling_short_factor", "null"},
    {"scale_query_by", "1.0"},
    {"target_modules", "null"},
    {"use_attn_o_gate", "false"},
    {"use_attn_o_norm", "false"},
    {"use_ffn_learnable_scales", "false"},
    {"use_ffn_norm", "true"},
    {"use_kv_cache", "false"},
    {"use_q_gate", "false"},
    {"use_residual_gate", "false"},
    {"use_sdpa_with_kv_cache_op", "false"},
};

// Keys that the exporter sets itself; upstream fails on them as well.
constexpr std::string_view kSetByExporter[] = {"generate_full_logits", "max_context_len"};

template <class Range>
bool has(const Range& keys, std::string_view key) {
  return std::find(std::begin(keys), std::end(keys), key) != std::end(keys);
}

void check_keys(const Json& json, ParamReader& reader) {
  for (const auto& [name, value] : json.items()) {
    const std::string_view key = name;
    if (has(kImplemented, key) || has(kIgnored, key)) continue;
    if (has(kSetByExporter, key)) {
      reader.problem(fmt::format("{}: set by the exporter, remove it from the file", key));
      continue;
    }
    const auto neutral = std::find_if(std::begin(kNeutral), std::end(kNeutral),
                                      [&](const NeutralKey& known) { return known.key == key; });
    if (neutral == std::end(kNeutral)) {
      reader.problem(fmt::format("{}: unknown key", shown(Json(name))));
    } else if (value != Json::parse(neutral->value)) {
      reader.problem(
          fmt::format("{}: {} is not implemented, only {} is", key, shown(value), neutral->value));
    }
  }
}

// The width of the feed-forward layer when params.json does not give it: 8/3 of dim, scaled,
// rounded up to a multiple. Python truncates at each step.
int64_t derived_hidden_dim(ParamReader& reader, int64_t dim) {
  const int64_t multiple_of = reader.integer("multiple_of", 256, kMaxInner);
  const double multiplier = reader.positive("ffn_dim_multiplier", 1.0, true);
  double hidden = std::trunc(2.0 * static_cast<double>(4 * dim) / 3.0);
  if (reader.find("ffn_dim_multiplier", true) != nullptr) hidden = std::trunc(multiplier * hidden);
  if (hidden < 1 || hidden > static_cast<double>(kMaxInner)) {
    reader.problem(
        fmt::format("hidden_dim: {:.0f} follows from dim and ffn_dim_multiplier, expected "
                    "1 to {}",
                    hidden, kMaxInner));
    return multiple_of;
  }
  const auto width = static_cast<int64_t>(hidden);
  return (width + multiple_of - 1) / multiple_of * multiple_of;
}

}  // namespace

Params for_context(Params params, int64_t max_context_len) {
  for (RopeParams& rope : params.ropes) {
    const bool is_long = static_cast<double>(max_context_len) > rope.trained_context;
    if (is_long && !rope.long_factors.empty()) rope.factors = rope.long_factors;
    rope.long_factors.clear();
  }
  for (LayerParams& layer : params.layers) {
    if (layer.window && *layer.window >= max_context_len) layer.window.reset();
  }
  return params;
}

double Params::score_scale() const {
  return attention_multiplier.value_or(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

Result<Params> params_from_meta(const Json& json) {
  if (!json.is_object()) {
    return invalid_data("params: expected an object, found {}", json.type_name());
  }
  ParamReader reader(json);
  check_keys(json, reader);

  Params params;
  params.dim = reader.integer("dim", params.dim, kMaxDim);
  params.n_layers = reader.integer("n_layers", params.n_layers, kMaxLayers);
  params.n_heads = reader.integer("n_heads", params.n_heads, kMaxInner);
  params.n_kv_heads = reader.integer("n_kv_heads", params.n_heads, kMaxInner, true);
  params.head_dim = reader.integer("head_dim", params.dim / params.n_heads, kMaxInner, true);
  params.vocab_size = reader.integer("vocab_size", params.vocab_size, kMaxVocab);
  params.hidden_dim = reader.integer("hidden_dim", 0, kMaxInner, true);
  if (params.hidden_dim == 0) params.hidden_dim = derived_hidden_dim(reader, params.dim);
  params.norm_eps = reader.positive("norm_eps", params.norm_eps);
  RopeParams& rope = params.ropes.front();
  rope.theta = reader.positive("rope_freq_base", rope.theta);
  rope.theta = reader.positive("rope_theta", rope.theta, true);
  params.use_hf_rope = reader.flag("use_hf_rope", params.use_hf_rope);
  rope.llama3 = reader.flag("use_scaled_rope", rope.llama3);
  rope.scale_factor = reader.positive("rope_scale_factor", rope.scale_factor);
  rope.high_freq_factor = reader.positive("high_freq_factor", rope.high_freq_factor);
  params.attention_qkv_bias = reader.flag("attention_qkv_bias", params.attention_qkv_bias);
  params.use_qk_norm = reader.flag("use_qk_norm", params.use_qk_norm);
  params.qk_norm_before_rope = reader.flag("qk_norm_before_rope", params.qk_norm_before_rope);
  params.qk_norm_affine = reader.flag("qk_norm_affine", params.qk_norm_affine);
  const auto types = read_layer_types(reader, params.n_layers);
  if (reader.find("sliding_window", true) != nullptr) {
    const int64_t window = reader.integer("sliding_window", 1, kMaxWindow);
    const std::vector<bool> all(static_cast<size_t>(params.n_layers), true);
    set_windows(types.value_or(all), window, &params);
  } else if (types && std::find(types->begin(), types->end(), true) != types->end()) {
    reader.problem("sliding_window: missing, some of layer_types are \"sliding_attention\"");
  }
  // Values that failed above stand at their defaults here and would give misleading findings.
  if (reader.clean()) check_relations(params, reader);
  TRY(reader.finish("params"));
  return params;
}

}  // namespace diptych::llama
