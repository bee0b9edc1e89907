// Hugging Face's config.json as parameters.

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "llama/families.h"
#include "llama/hugging_face_rope.h"
#include "llama/layer_kinds.h"
#include "llama/layer_types.h"
#include "llama/param_reader.h"

namespace diptych::llama {

namespace {

// Keys that change the mathematics of some models, with the number or flag at which they do not.
struct NeutralKey {
  std::string_view key;
  std::optional<double> neutral;  // none: only null or absence is; a flag is 0 or 1
  // Whether the family's models are computed as the key says; null: no family's are.
  bool (*counts)(const Family& family) = nullptr;
};
constexpr bool has_multipliers(const Family& family) { return family.multipliers; }
constexpr NeutralKey kNeutral[] = {
    {"attention_bias", 0, [](const Family& family) { return family.attention_bias; }},
    {"attention_multiplier", {}, has_multipliers},
    {"attn_logit_softcapping", {}, [](const Family& f) { return f.attention_cap.has_value(); }},
    {"clip_qkv", {}},
    {"embedding_multiplier", 1, has_multipliers},
    {"final_logit_softcapping", {}, [](const Family& family) { return family.final_cap; }},
    {"logit_scale", 1},
    {"logits_scaling", 1, has_multipliers},
    {"mlp_bias", 0, [](const Family& family) { return family.mlp_bias; }},
    {"query_pre_attn_scalar", {}, [](const Family& f) { return f.query_scalar.has_value(); }},
    {"residual_multiplier", 1, has_multipliers},
    {"use_bidirectional_attention", 0},
};

std::string known_architectures() {
  std::string known;
  for (const Family& family : families()) {
    known += (known.empty() ? "" : ", ") + std::string(family.architecture);
  }
  return known;
}

// A text out of a hostile file.
std::string quoted(const Json& value) { return shown(value); }

Result<const Family*> find_family(const Json& config) {
  const auto architectures = config.find("architectures");
  const auto type = config.find("model_type");
  if (architectures != config.end() && architectures->is_array() && !architectures->empty()) {
    const Json& architecture = architectures->front();
    for (const Family& family : families()) {
      if (!architecture.is_string() ||
          !is_architecture(family, architecture.get_ref<const std::string&>())) {
        continue;
      }
      // transformers goes by the type where one of the two is wrong.
      for (const Family& other : families()) {
        if (&other == &family || type == config.end() || *type != std::string(other.model_type)) {
          continue;
        }
        return invalid_data("architecture {} contradicts model_type {}", quoted(architecture),
                            quoted(*type));
      }
      return &family;
    }
    return unsupported("architecture {}, expected one of {}", quoted(architecture),
                       known_architectures());
  }
  if (type == config.end()) {
    return invalid_data(
        "neither \"architectures\" nor \"model_type\": not the config.json of a "
        "language model");
  }
  for (const Family& family : families()) {
    if (*type == std::string(family.model_type)) return &family;
  }
  return unsupported("model_type {}, expected that of one of {}", quoted(*type),
                     known_architectures());
}

// The window of a family whose configurations have one, if it is on.
std::optional<int64_t> read_window_size(const Json& config, const Family& family,
                                        ParamReader& reader) {
  const auto window = config.find("sliding_window");
  const bool said = window != config.end();
  if (!family.window && (family.window_switch || !said)) return std::nullopt;
  if (family.window_switch && !reader.flag("use_sliding_window", false)) return std::nullopt;
  if (said && window->is_null()) return std::nullopt;
  return reader.integer("sliding_window", family.window.value_or(1), kMaxWindow);
}

// How many layers come before those with a window.
int64_t read_full_layers(const Json& config, ParamReader& reader) {
  constexpr int64_t kWhenMissing = 28;
  if (!config.contains("max_window_layers")) return kWhenMissing;
  const auto layers = json_int(config, "max_window_layers");
  if (!layers || *layers < 0) reader.problem("max_window_layers: expected a count");
  return layers ? std::max<int64_t>(0, *layers) : kWhenMissing;
}

// Which layers have it: all, or with a switch those that layer_types says, or else those after the
// first max_window_layers.
void read_windows(const Json& config, const Family& family, ParamReader& reader, Params* params) {
  const std::optional<int64_t> size = read_window_size(config, family, reader);
  const auto types = read_layer_types(reader, params->n_layers);
  std::vector<bool> sliding(static_cast<size_t>(params->n_layers), size.has_value());
  if (size && family.window_switch) {
    const int64_t full = read_full_layers(config, reader);
    std::fill_n(sliding.begin(), std::min(full, params->n_layers), false);
    if (types) sliding = *types;
  } else if (types && *types != sliding) {
    // The reference would go by the window alone.
    reader.problem(fmt::format("layer_types: expected \"{}\" for all layers of {}",
                               size ? "sliding_attention" : "full_attention", family.architecture));
  }
  if (size) set_windows(sliding, *size, params);
}

void check_activation(const Json& config, const Family& family, ParamReader& reader) {
  const bool silu = family.act_fn == Activation::Silu;
  const std::string_view key = silu ? "hidden_act" : "hidden_activation";
  const std::string_view expected = silu ? "silu" : "gelu_pytorch_tanh";
  const auto null = config.find(std::string(key));
  if (null != config.end() && null->is_null()) reader.problem(fmt::format("{}: null", key));
  const std::string activation = reader.text(key, expected);
  if (activation != expected && !(silu && activation == "swish")) {
    reader.problem(fmt::format("{}: {}, expected \"{}\"", key, quoted(Json(activation)), expected));
  }
}

// Refuses what would change the mathematics and is not the family's.
void check_neutral(const Json& config, const Family& family, ParamReader& reader) {
  const auto check = [&](std::string_view key, const Json& value, std::optional<double> neutral) {
    if (value.is_null()) return;
    const double number = value.is_boolean()  ? (value.get<bool>() ? 1 : 0)
                          : value.is_number() ? value.get<double>()
                                              : NAN;
    if (neutral && number == *neutral) return;
    const std::string_view only = !neutral ? "null" : *neutral == 1 ? "1" : "false";
    reader.problem(fmt::format("{}: {} is not implemented for {}, only {} is", key, quoted(value),
                               family.architecture, only));
  };
  for (const auto& [name, value] : config.items()) {
    const std::string_view key = name;
    const auto known = std::find_if(std::begin(kNeutral), std::end(kNeutral),
                                    [&](const NeutralKey& row) { return row.key == key; });
    if (known != std::end(kNeutral)) {
      if (known->counts == nullptr || !known->counts(family)) check(key, value, known->neutral);
    } else if (key.ends_with("_multiplier")) {
      check(shown(Json(name)), value, 1);
    }
  }
}

void read_biases(const Family& family, ParamReader& reader, Params* params) {
  if (family.attention_bias && reader.flag("attention_bias", false)) {
    params->attention_qkv_bias = params->attention_output_bias = true;
  }
  params->ffn_bias = family.mlp_bias && reader.flag("mlp_bias", false);
}

void read_multipliers(const Family& family, ParamReader& reader, Params* params) {
  if (family.multipliers) {
    params->embedding_scale_factor = reader.positive("embedding_multiplier", 1);
    params->attention_multiplier = reader.positive("attention_multiplier", 1);
    params->residual_multiplier = reader.positive("residual_multiplier", 1);
    params->logits_scaling = reader.positive("logits_scaling", 1);
  }
  if (family.query_scalar) {
    const auto fallback = static_cast<double>(*family.query_scalar);
    params->attention_multiplier =
        1 / std::sqrt(reader.positive("query_pre_attn_scalar", fallback));
  }
}

// Null is no cap, which is not what a missing key may be.
std::optional<double> read_cap(std::string_view key, std::optional<double> fallback,
                               ParamReader& reader) {
  const Json* value = reader.find(key, false);
  if (value == nullptr) return fallback;
  if (value->is_null()) return std::nullopt;
  return reader.positive(key, 1);
}

void check_quantisation(const Json& config, ParamReader& reader) {
  const auto quantisation = config.find("quantization_config");
  if (quantisation != config.end() && quantisation->is_object()) {
    const auto method = quantisation->find("quant_method");
    reader.problem(fmt::format(
        "quantization_config: weights quantised by {} are not read; expected F32, F16 or BF16",
        method == quantisation->end() ? "a method that is not named" : quoted(*method)));
  }
}

// The configuration of a model's text part, if the model has others beside it.
Result<Json> text_part(const Json& config) {
  const auto is = [&](const char* key, std::string_view wanted) {
    const auto found = config.find(key);
    if (found == config.end() || wanted.empty()) return false;
    const Json& value = found->is_array() && !found->empty() ? found->front() : *found;
    return value == std::string(wanted);
  };
  for (const Family& family : families()) {
    if (!is("architectures", family.whole_architecture) && !is("model_type", family.whole_type)) {
      continue;
    }
    const auto text = config.find("text_config");
    if (text == config.end() || !text->is_object()) {
      return invalid_data("text_config: expected an object, for {}", family.whole_architecture);
    }
    Json part = *text;
    part["architectures"] = {family.architecture};
    part["model_type"] = family.model_type;
    if (config.contains("tie_word_embeddings")) {
      part["tie_word_embeddings"] = config["tie_word_embeddings"];
    }
    return part;
  }
  return config;
}

}  // namespace

Result<Description> describe_hugging_face(const Json& whole_config) {
  if (!whole_config.is_object()) {
    return invalid_data("config: expected an object, found {}", whole_config.type_name());
  }
  const Json config = TRY(text_part(whole_config));
  Description description;
  description.family = TRY(find_family(config));
  const Family& family = *description.family;
  Params& params = description.params;
  ParamReader reader(config);
  params.dim = reader.required("hidden_size", kMaxDim);
  params.n_layers = reader.required("num_hidden_layers", kMaxLayers);
  params.n_heads = reader.required("num_attention_heads", kMaxInner, family.heads);
  params.hidden_dim = reader.required("intermediate_size", kMaxInner);
  params.vocab_size = reader.required("vocab_size", kMaxVocab, family.vocab);
  // Null is not what a missing key is: as many as heads, and no width of their own.
  const bool null_heads = reader.find("num_key_value_heads", false) != nullptr;
  params.n_kv_heads = reader.integer(
      "num_key_value_heads", null_heads ? params.n_heads : family.kv_heads.value_or(params.n_heads),
      kMaxInner, true);
  params.head_dim =
      reader.integer("head_dim", family.head_dim.value_or(params.dim / params.n_heads), kMaxInner,
                     !family.head_dim);
  params.norm_eps = reader.positive("rms_norm_eps", family.norm_eps);
  set_mathematics(family, &params);
  read_biases(family, reader, &params);
  read_multipliers(family, reader, &params);
  if (family.attention_cap) {
    params.attn_logit_softcapping =
        read_cap("attn_logit_softcapping", family.attention_cap, reader);
  }
  if (family.final_cap) {
    params.final_logit_softcapping = read_cap("final_logit_softcapping", family.logits_cap, reader);
  }
  const bool tied = reader.flag("tie_word_embeddings", family.tied);
  if (family.has_layer_kinds()) {
    read_layer_kinds(config, family, reader, &params);
  } else {
    params.ropes = {read_hugging_face_rope(config, family.rope_theta, params.head_dim, reader)};
    read_windows(config, family, reader, &params);
  }
  for (const RopeParams& rope : params.ropes) {
    if (!family.rope_scales && (rope.llama3 || rope.linear_factor != 1)) {
      reader.problem(
          fmt::format("RoPE of {}: expected type default or longrope", family.architecture));
    }
    if (!family.partial_rope && rope.rotated(params.head_dim) != params.head_dim) {
      reader.problem(
          fmt::format("partial_rotary_factor: {} of {} channels, a part of each head is "
                      "not implemented for {}",
                      rope.rotated(params.head_dim), params.head_dim, family.architecture));
    }
  }
  check_activation(config, family, reader);
  check_neutral(config, family, reader);
  check_quantisation(config, reader);
  if (reader.clean()) check_relations(params, reader);
  TRY(reader.finish("config"));

  description.layout = {
      .dialect = family.post_norms ? Dialect::HuggingFacePost : Dialect::HuggingFace,
      .fused = family.fused,
      .halves = true,
      .unit_offset = family.unit_offset,
      .beside_vision = whole_config.contains("text_config"),
      .tied = tied ? Layout::Tied::Yes : Layout::Tied::No,
  };
  return description;
}

}  // namespace diptych::llama
