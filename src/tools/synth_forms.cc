#include "tools/synth_forms.h"

#include <unordered_map>

#include "base/json.h"
#include "llama/weights.h"
#include "tensor/views.h"

namespace diptych::tools {

namespace {

namespace names = llama::names;
using checkpoint::NamedWeight;
using llama::Dialect;

constexpr int64_t kContext = 131072;  // positions that the configurations claim

// Brings tensors from Meta's names and arrangement to another's.
class Rearranger {
 public:
  Rearranger(Dialect dialect, const llama::Family& family, const SynthShape& shape,
             const std::vector<NamedWeight>& meta)
      : dialect_(dialect),
        family_(family),
        shape_(shape),
        halves_(dialect == Dialect::HuggingFace || !family.gguf_pairs),
        meta_(meta.begin(), meta.end()) {}

  std::vector<NamedWeight> run() {
    add_model(names::kEmbedding);
    for (int64_t i = 0; i < shape_.layers; ++i) add_layer(static_cast<size_t>(i));
    add_model(names::kNorm);
    if (!shape_.tied) add_model(names::kOutput);
    return std::move(tensors_);
  }

 private:
  WeightRef model_weight(const llama::RoleName& role) {
    return meta_.at(llama::model_tensor(Dialect::Meta, role));
  }
  WeightRef layer_weight(size_t layer, const llama::RoleName& role) {
    return meta_.at(llama::layer_tensor(Dialect::Meta, layer, role, "weight"));
  }
  WeightRef in_order(WeightRef weight) {
    return halves_ ? pairs_to_halves(std::move(weight), shape_.head_dim) : weight;
  }

  void add(std::string name, WeightRef weight) {
    if (dialect_ == Dialect::Gguf && weight->shape().size() == 1) {
      weight = cast(std::move(weight), DType::F32);
    }
    tensors_.emplace_back(std::move(name), std::move(weight));
  }
  void add_model(const llama::RoleName& role) {
    add(llama::model_tensor(dialect_, role), model_weight(role));
  }
  void add(size_t layer, const llama::RoleName& role, WeightRef weight,
           std::string_view kind = "weight") {
    add(llama::layer_tensor(dialect_, layer, role, kind), std::move(weight));
  }
  void add_same(size_t layer, const llama::RoleName& role) {
    add(layer, role, layer_weight(layer, role));
  }

  void add_layer(size_t layer) {
    add_same(layer, names::kAttentionNorm);
    const WeightRef q = in_order(layer_weight(layer, names::kQ));
    const WeightRef k = in_order(layer_weight(layer, names::kK));
    const WeightRef v = layer_weight(layer, names::kV);
    if (family_.fused) {
      add(layer, names::kQkv, concat_rows({q, k, v}));
    } else {
      add(layer, names::kQ, q);
      add(layer, names::kK, k);
      add(layer, names::kV, v);
    }
    if (shape_.qkv_bias) {
      const auto bias = [&](const llama::RoleName& role) {
        return meta_.at(fmt::format("layers.{}.{}s.0.bias", layer, role.meta));
      };
      add(layer, names::kQ, in_order(bias(names::kQ)), "bias");
      add(layer, names::kK, in_order(bias(names::kK)), "bias");
      add(layer, names::kV, bias(names::kV), "bias");
    }
    if (shape_.qk_norm) {
      add(layer, names::kQNorm, in_order(layer_weight(layer, names::kQNorm)));
      add(layer, names::kKNorm, in_order(layer_weight(layer, names::kKNorm)));
    }
    add_same(layer, names::kO);
    add_same(layer, names::kFfnNorm);
    if (family_.fused) {
      add(layer, names::kGateUp,
          concat_rows({layer_weight(layer, names::kGate), layer_weight(layer, names::kUp)}));
    } else {
      add_same(layer, names::kGate);
      add_same(layer, names::kUp);
    }
    add_same(layer, names::kDown);
  }

  Dialect dialect_;
  const llama::Family& family_;
  const SynthShape& shape_;
  bool halves_;
  std::unordered_map<std::string, WeightRef> meta_;
  std::vector<NamedWeight> tensors_;
};

// What the factors of Llama 3's RoPE depend on.
llama::Params rope_params(const SynthShape& shape) {
  llama::Params params;
  params.head_dim = shape.head_dim;
  params.rope_theta = shape.rope_theta;
  params.rope_scale_factor = static_cast<double>(shape.rope_scale_factor);
  return params;
}

}  // namespace

Status fit_family(const llama::Family& family, SynthForm form, SynthShape* shape) {
  shape->qkv_bias = shape->qkv_bias || family.qkv_bias;
  if (family.qk_norm) shape->qk_norm = shape->qk_norm_before_rope = true;
  if (form == SynthForm::Meta) return {};
  const auto refuse = [&](std::string_view what) {
    return hinted(invalid_argument("{} cannot say {}", family.architecture, what),
                  Advice::OtherFamily);
  };
  if (shape->qkv_bias != family.qkv_bias) return refuse("qkv_bias");
  if (shape->qk_norm != family.qk_norm) return refuse("qk_norm");
  if (shape->qk_norm && !shape->qk_norm_before_rope) return refuse("qk_norm after RoPE");
  const bool own_head_dim = family.name != "qwen2" && family.name != "phi3";
  if (!own_head_dim && shape->head_dim * shape->heads != shape->dim) {
    return refuse("a head_dim that is not dim / heads");
  }
  if (shape->rope_scale_factor > 0 && family.name != "llama") return refuse("rope_scale_factor");
  return {};
}

std::vector<NamedWeight> tensors_as(SynthForm form, const llama::Family& family,
                                    const SynthShape& shape, const std::vector<NamedWeight>& meta) {
  if (form == SynthForm::Meta) return meta;
  const bool gguf = form == SynthForm::Gguf;
  std::vector<NamedWeight> tensors =
      Rearranger(gguf ? Dialect::Gguf : Dialect::HuggingFace, family, shape, meta).run();
  if (gguf && shape.rope_scale_factor > 0) {
    const std::vector<float> factors = llama::llama3_rope_factors(rope_params(shape));
    tensors.emplace_back(std::string(llama::kRopeFactorsTensor),
                         constant_floats(DType::F32, {static_cast<int64_t>(factors.size())},
                                         {factors.begin(), factors.end()}));
  }
  return tensors;
}

Json hugging_face_config(const llama::Family& family, const SynthShape& shape, DType dtype) {
  const std::string_view type = dtype == DType::F32   ? "float32"
                                : dtype == DType::F16 ? "float16"
                                                      : "bfloat16";
  Json config = {{"architectures", {family.architecture}},
                 {"model_type", family.model_type},
                 {"hidden_size", shape.dim},
                 {"intermediate_size", shape.hidden},
                 {"num_hidden_layers", shape.layers},
                 {"num_attention_heads", shape.heads},
                 {"num_key_value_heads", shape.kv_heads},
                 {"vocab_size", shape.vocab},
                 {"max_position_embeddings", kContext},
                 {"hidden_act", "silu"},
                 {"rms_norm_eps", shape.norm_eps},
                 {"rope_theta", shape.rope_theta},
                 {"tie_word_embeddings", shape.tied},
                 {"torch_dtype", type},
                 {"bos_token_id", nullptr},  // there is no vocabulary
                 {"eos_token_id", nullptr},
                 {"pad_token_id", nullptr}};
  if (shape.head_dim * shape.heads != shape.dim || family.head_dim) {
    config["head_dim"] = shape.head_dim;
  }
  if (shape.rope_scale_factor > 0) {
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", static_cast<double>(shape.rope_scale_factor)},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 8192}};
  }
  if (family.window && !family.window_switch) config["sliding_window"] = *family.window;
  if (family.window_switch) config["use_sliding_window"] = false;
  if (family.name == "phi3") config["original_max_position_embeddings"] = kContext;
  return config;
}

std::vector<checkpoint::GgufEntry> gguf_metadata(const llama::Family& family,
                                                 const SynthShape& shape) {
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", family.gguf, name); };
  const auto number = [](int64_t value) { return static_cast<uint32_t>(value); };
  const auto head_dim = number(shape.head_dim);
  return {{"general.architecture", std::string(family.gguf)},
          {key("block_count"), number(shape.layers)},
          {key("context_length"), number(kContext)},
          {key("embedding_length"), number(shape.dim)},
          {key("feed_forward_length"), number(shape.hidden)},
          {key("attention.head_count"), number(shape.heads)},
          {key("attention.head_count_kv"), number(shape.kv_heads)},
          {key("attention.key_length"), head_dim},
          {key("attention.value_length"), head_dim},
          {key("attention.layer_norm_rms_epsilon"), static_cast<float>(shape.norm_eps)},
          {key("rope.freq_base"), static_cast<float>(shape.rope_theta)},
          {key("rope.dimension_count"), head_dim},
          {key("vocab_size"), number(shape.vocab)},
          {"tokenizer.ggml.model", std::string("no_vocab")}};
}

}  // namespace diptych::tools
