// Hugging Face's config.json as parameters.

#include <algorithm>

#include "base/json.h"
#include "llama/families.h"
#include "llama/hugging_face_rope.h"
#include "llama/param_reader.h"

namespace diptych::llama {

namespace {

// Switches whose other position is another kind of model.
struct NeutralSwitch {
  std::string_view key;
  std::string_view why;  // what it would take
};
constexpr NeutralSwitch kMustBeOff[] = {
    {"attention_bias", "biases of q, k, v and o are implemented for q, k and v only"},
    {"mlp_bias", "biases of the feed-forward layer are not implemented"},
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

void read_window(const Json& config, const Family& family, ParamReader& reader, Params* params) {
  bool active = family.window.has_value() || config.contains("sliding_window");
  if (family.window_switch) active = reader.flag("use_sliding_window", false);
  const auto window = config.find("sliding_window");
  const bool off = window != config.end() && window->is_null();
  std::optional<int64_t> size;
  if (active && !off) {
    size = reader.integer("sliding_window", family.window.value_or(0), kMaxWindow);
    params->layers.assign(static_cast<size_t>(params->n_layers), {size, 0});
  }
  const auto layers = config.find("layer_types");
  if (layers == config.end() || !layers->is_array()) return;
  for (const Json& layer : *layers) {
    if (layer == "full_attention" || (layer == "sliding_attention" && size)) {
      continue;
    }
    reader.problem(fmt::format("layer_types: {}, expected \"full_attention\"", quoted(layer)));
    return;
  }
}

void check_switches(const Json& config, ParamReader& reader) {
  const auto null = config.find("hidden_act");
  if (null != config.end() && null->is_null()) reader.problem("hidden_act: null");
  const std::string activation = reader.text("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {
    reader.problem(fmt::format("hidden_act: {}, expected \"silu\"", quoted(Json(activation))));
  }
  for (const NeutralSwitch& known : kMustBeOff) {
    if (reader.flag(known.key, false)) reader.problem(fmt::format("{}: {}", known.key, known.why));
  }
  const auto quantisation = config.find("quantization_config");
  if (quantisation != config.end() && quantisation->is_object()) {
    const auto method = quantisation->find("quant_method");
    reader.problem(fmt::format(
        "quantization_config: weights quantised by {} are not read; expected F32, F16 or BF16",
        method == quantisation->end() ? "a method that is not named" : quoted(*method)));
  }
}

}  // namespace

Result<Description> describe_hugging_face(const Json& config) {
  if (!config.is_object()) {
    return invalid_data("config: expected an object, found {}", config.type_name());
  }
  Description description;
  description.family = TRY(find_family(config));
  const Family& family = *description.family;
  Params& params = description.params;
  ParamReader reader(config);
  params.dim = reader.required("hidden_size", kMaxDim);
  params.n_layers = reader.required("num_hidden_layers", kMaxLayers);
  params.n_heads = reader.required("num_attention_heads", kMaxInner);
  params.hidden_dim = reader.required("intermediate_size", kMaxInner);
  params.vocab_size = reader.required("vocab_size", kMaxVocab);
  // Null is not what a missing key is: as many as heads, and no width of their own.
  const bool null_heads = reader.find("num_key_value_heads", false) != nullptr;
  params.n_kv_heads = reader.integer(
      "num_key_value_heads", null_heads ? params.n_heads : family.kv_heads.value_or(params.n_heads),
      kMaxInner, true);
  params.head_dim =
      reader.integer("head_dim", family.head_dim.value_or(params.dim / params.n_heads), kMaxInner,
                     !family.head_dim);
  params.norm_eps = reader.positive("rms_norm_eps", family.norm_eps);
  params.attention_qkv_bias = family.qkv_bias;
  params.use_qk_norm = params.qk_norm_before_rope = family.qk_norm;
  const bool tied = reader.flag("tie_word_embeddings", false);
  read_hugging_face_rope(config, reader, &params);
  const RopeParams& rope = params.ropes.front();
  if (!family.rope_scales && (rope.llama3 || rope.linear_factor != 1)) {
    reader.problem(fmt::format("RoPE of {}: expected type default", family.architecture));
  }
  read_window(config, family, reader, &params);
  check_switches(config, reader);
  if (reader.clean()) check_relations(params, reader);
  TRY(reader.finish("config"));

  description.layout = {Dialect::HuggingFace, family.fused, true,
                        tied ? Layout::Tied::Yes : Layout::Tied::No};
  return description;
}

}  // namespace diptych::llama
