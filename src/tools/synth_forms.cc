#include "tools/synth_forms.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/json.h"
#include "llama/weights.h"
#include "tensor/affine.h"
#include "tensor/views.h"

namespace diptych::tools {

namespace {

using checkpoint::NamedWeight;
using llama::Dialect, llama::TensorKind, llama::TensorRow;

constexpr int64_t kContext = 131072;  // positions that the configurations claim

// Whether params.json says all that the family's models compute.
bool meta_says(const llama::Family& family) {
  return family.pre_norms && !family.post_norms && !family.qk_norm_whole && !family.width_scales &&
         !family.multipliers && !family.has_layer_kinds() &&
         family.act_fn == llama::Activation::Silu;
}

// Brings tensors from Meta's names and arrangement to another's.
class Rearranger {
 public:
  Rearranger(Dialect dialect, const llama::Family& family, const SynthShape& shape,
             const std::vector<NamedWeight>& meta)
      : dialect_(dialect),
        family_(family),
        shape_(shape),
        halves_(dialect != Dialect::Gguf || !family.gguf_pairs),
        less_one_(dialect != Dialect::Gguf && family.unit_offset),
        meta_(meta.begin(), meta.end()) {}

  std::vector<NamedWeight> run() {
    const llama::Params params = params_of(shape_);
    const std::vector<TensorRow> of_layer = rows_in_file_order();
    for (const auto& [row, layer] :
         llama::all_tensors(static_cast<size_t>(shape_.layers), of_layer)) {
      const bool absent = row->presence == llama::Presence::Untied && shape_.tied;
      if (row->is_in(params) && !absent) add(*row, layer);
    }
    return std::move(tensors_);
  }

 private:
  // Block by block: its norm, the linears that take its input, what belongs to these, and the
  // linear that gives its output.
  static std::vector<TensorRow> rows_in_file_order() {
    const auto place = [](const TensorRow& row) {
      switch (row.kind) {
        case TensorKind::Bias:
          return 2;
        case TensorKind::HeadNorm:
          return 3;
        case TensorKind::Linear:
          return row.rows == llama::Extent::Dim ? 4 : 1;
        default:
          return 0;
      }
    };
    std::vector<TensorRow> rows(llama::layer_rows().begin(), llama::layer_rows().end());
    std::ranges::stable_sort(
        rows, {}, [&](const TensorRow& row) { return std::pair(row.block, place(row)); });
    return rows;
  }

  WeightRef in_order(const TensorRow& row, size_t layer) {
    const WeightRef& weight = meta_.at(meta_name(row, layer));
    WeightRef arranged =
        halves_ && row.turned ? pairs_to_halves(weight, shape_.head_dim, shape_.head_dim) : weight;
    const bool norm = row.kind == TensorKind::Norm || row.kind == TensorKind::HeadNorm;
    if (!norm || !less_one_) return arranged;
    // Exact: gains are between 1/2 and 2.
    return cast(affine(std::move(arranged), 1, -1), weight->dtype());
  }

  void add(const TensorRow& row, size_t layer) {
    if (!family_.fused || row.fusion == llama::Fusion::None) {
      return add(row.name(dialect_, layer), in_order(row, layer));
    }
    const auto rows = llama::fused_parts(row.fusion);
    if (row.of_layer != rows.front()->of_layer) return;  // added with the first
    std::vector<WeightRef> parts;
    for (const TensorRow* part : rows) parts.push_back(in_order(*part, layer));
    add(llama::fused_name(row.fusion, dialect_, layer), concat_rows(std::move(parts)));
  }

  void add(std::string name, WeightRef weight) {
    if (dialect_ == Dialect::Gguf && weight->shape().size() == 1) {
      weight = cast(std::move(weight), DType::F32);
    }
    tensors_.emplace_back(std::move(name), std::move(weight));
  }

  Dialect dialect_;
  const llama::Family& family_;
  const SynthShape& shape_;
  bool halves_, less_one_;
  std::unordered_map<std::string, WeightRef> meta_;
  std::vector<NamedWeight> tensors_;
};

}  // namespace

llama::Params params_of(const SynthShape& shape) {
  llama::Params params;
  params.dim = shape.dim;
  params.n_layers = shape.layers;
  params.n_heads = shape.heads;
  params.n_kv_heads = shape.kv_heads;
  params.head_dim = shape.head_dim;
  params.hidden_dim = shape.hidden;
  params.vocab_size = shape.vocab;
  params.ropes.front().theta = shape.rope_theta;
  params.ropes.front().scale_factor = static_cast<double>(shape.rope_scale_factor);
  params.attention_qkv_bias = shape.qkv_bias;
  params.use_qk_norm = shape.qk_norm;
  if (shape.family == nullptr) return params;
  set_mathematics(*shape.family, &params);
  params.attention_qkv_bias = shape.qkv_bias;
  params.use_qk_norm = shape.qk_norm;
  if (shape.family->multipliers) {  // such as Granite 3 has
    params.embedding_scale_factor = 12;
    params.attention_multiplier = 1 / static_cast<double>(shape.head_dim);
    params.residual_multiplier = 0.22;
    params.logits_scaling = 8;
  }
  return params;
}

std::string meta_name(const TensorRow& row, size_t layer) {
  const auto names = row.accepted_names(Dialect::Meta, layer);
  return row.kind == TensorKind::Bias ? names.back() : names.front();
}

Status fit_family(const llama::Family& family, SynthForm form, SynthShape* shape) {
  shape->qkv_bias = shape->qkv_bias || family.qkv_bias;
  const bool qk_norm = family.qk_norm || family.qk_norm_whole;
  if (qk_norm) shape->qk_norm = shape->qk_norm_before_rope = true;
  shape->family = &family;
  if (form == SynthForm::Meta) {
    if (meta_says(family)) return {};
    return hinted(invalid_argument("params.json cannot say what {} computes", family.architecture),
                  Advice::FamilysForm);
  }
  const auto refuse = [&](std::string_view what) {
    return hinted(invalid_argument("{} cannot say {}", family.architecture, what),
                  Advice::OtherFamily);
  };
  if (shape->qkv_bias != family.qkv_bias) return refuse("qkv_bias");
  if (shape->qk_norm != qk_norm) return refuse("qk_norm");
  if (shape->qk_norm && !shape->qk_norm_before_rope) return refuse("qk_norm after RoPE");
  const bool own_head_dim = family.name != "qwen2" && family.name != "phi3";
  if (!own_head_dim && shape->head_dim * shape->heads != shape->dim) {
    return refuse("a head_dim that is not dim / heads");
  }
  if (shape->rope_scale_factor > 0 && family.name != "llama") return refuse("rope_scale_factor");
  if (shape->window > 0 && family.name == "llama") return refuse("a window");
  if (shape->full_layers > 0 &&
      (form == SynthForm::Gguf || !family.window_switch || family.has_layer_kinds())) {
    return refuse("full_layers");
  }
  return {};
}

std::vector<NamedWeight> tensors_as(SynthForm form, const llama::Family& family,
                                    const SynthShape& shape, const std::vector<NamedWeight>& meta) {
  if (form == SynthForm::Meta) return meta;
  const bool gguf = form == SynthForm::Gguf;
  const Dialect hugging_face = family.post_norms ? Dialect::HuggingFacePost : Dialect::HuggingFace;
  std::vector<NamedWeight> tensors =
      Rearranger(gguf ? Dialect::Gguf : hugging_face, family, shape, meta).run();
  if (gguf && shape.rope_scale_factor > 0) {
    const std::vector<float> factors =
        llama::llama3_rope_factors(params_of(shape).ropes.front(), shape.head_dim);
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
                 {"rms_norm_eps", shape.norm_eps},
                 {"rope_theta", shape.rope_theta},
                 {"tie_word_embeddings", shape.tied},
                 {"torch_dtype", type},
                 {"bos_token_id", nullptr},  // there is no vocabulary
                 {"eos_token_id", nullptr},
                 {"pad_token_id", nullptr}};
  if (family.act_fn == llama::Activation::Silu) {
    config["hidden_act"] = "silu";
  } else {
    config["hidden_activation"] = "gelu_pytorch_tanh";
  }
  if (family.multipliers) {
    const llama::Params params = params_of(shape);
    config["embedding_multiplier"] = params.embedding_scale_factor;
    config["attention_multiplier"] = *params.attention_multiplier;
    config["residual_multiplier"] = params.residual_multiplier;
    config["logits_scaling"] = params.logits_scaling;
  }
  if (family.query_scalar) config["query_pre_attn_scalar"] = shape.head_dim;
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
  if (family.window_switch) config["use_sliding_window"] = shape.window > 0;
  if (shape.window > 0) {
    config["sliding_window"] = shape.window;
    if (family.window_switch) config["max_window_layers"] = shape.full_layers;
  }
  if (family.name == "phi3") config["original_max_position_embeddings"] = kContext;
  return config;
}

std::vector<checkpoint::GgufEntry> gguf_metadata(const llama::Family& family,
                                                 const SynthShape& shape) {
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", family.gguf, name); };
  const auto number = [](int64_t value) { return static_cast<uint32_t>(value); };
  const auto head_dim = number(shape.head_dim);
  std::vector<checkpoint::GgufEntry> entries = {
      {"general.architecture", std::string(family.gguf)},
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
  const auto add = [&](std::string_view name, double value) {
    entries.push_back({key(name), static_cast<float>(value)});
  };
  if (family.multipliers) {
    const llama::Params params = params_of(shape);
    add("embedding_scale", params.embedding_scale_factor);
    add("attention.scale", *params.attention_multiplier);
    add("residual_scale", params.residual_multiplier);
    add("logit_scale", params.logits_scaling);
  }
  if (family.attention_cap) add("attn_logit_softcapping", *family.attention_cap);
  if (family.logits_cap) add("final_logit_softcapping", *family.logits_cap);
  if (family.full_every || shape.window > 0) {
    const int64_t window = shape.window > 0 ? shape.window : *family.window;
    entries.push_back({key("attention.sliding_window"), number(window)});
  }
  return entries;
}

}  // namespace diptych::tools
