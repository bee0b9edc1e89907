// A GGUF file's metadata as parameters.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "base/json.h"
#include "llama/families.h"
#include "llama/layer_kinds.h"
#include "llama/param_reader.h"
#include "llama/weights.h"

namespace diptych::llama {

namespace {

Result<const Family*> find_family(const Json& metadata) {
  const std::string name = TRY(json_string(metadata, "general.architecture"));
  std::string known;
  for (const Family& family : families()) {
    if (family.gguf == name) return &family;
    if (known.find(family.gguf) == known.npos) {
      known += (known.empty() ? "" : ", ") + std::string(family.gguf);
    }
  }
  return unsupported("architecture {}, expected one of {}", shown(Json(name)), known);
}

WeightRef find(std::span<const std::pair<std::string, WeightRef>> tensors, std::string_view name) {
  for (const auto& [candidate, weight] : tensors) {
    if (candidate == name) return weight;
  }
  return nullptr;
}

// Whether the factors are Llama 3's for these parameters, up to the rounding of other programs.
bool are_llama3_factors(const std::vector<float>& factors, const RopeParams& rope) {
  const auto head_dim = 2 * static_cast<int64_t>(factors.size());
  const std::vector<float> expected = llama3_rope_factors(rope, head_dim);
  return std::equal(factors.begin(), factors.end(), expected.begin(),
                    [](float a, float b) { return std::abs(a - b) <= 1e-5f * b; });
}

// Factors of the frequencies.
Result<std::vector<float>> read_factors(std::string_view name, const WeightRef& tensor,
                                        int64_t rotated) {
  const Shape expected = {rotated / 2};
  if (tensor->shape() != expected || !is_float(tensor->dtype())) {
    return invalid_data("{}: expected floats {}, found {}", name, to_string(expected),
                        to_string(tensor->type()));
  }
  std::vector<float> factors = TRY(read_floats(*tensor));
  for (const float factor : factors) {
    if (!(factor > 0) || !std::isfinite(factor)) {
      return invalid_data("{}: a factor of {}", name, factor);
    }
  }
  return factors;
}

// Llama 3's, or any others.
Status read_rope_factors(const WeightRef& tensor, int64_t rotated, RopeParams* rope) {
  std::vector<float> factors = TRY(read_factors(kRopeFactorsTensor, tensor, rotated));
  RopeParams scaled = *rope;
  scaled.llama3 = true;
  // The slowest frequencies are divided by the whole factor.
  scaled.scale_factor = factors.back();
  const auto linear = static_cast<float>(rope->linear_factor);
  if (linear == 1 && are_llama3_factors(factors, scaled)) {
    *rope = std::move(scaled);
  } else if (linear != 1) {
    for (float& factor : factors) factor *= linear;
    rope->factors = std::move(factors);
  } else if (std::any_of(factors.begin(), factors.end(), [](float f) { return f != 1; })) {
    rope->factors = std::move(factors);
  }
  return {};
}

// The factor of linear scaling: under its key or the one that older files have; 0 counts as 1.
void read_scaling(const std::string& prefix, ParamReader& reader, RopeParams* rope) {
  const auto factor_under = [&](std::string_view key) -> std::optional<double> {
    const Json* value = reader.find(prefix + std::string(key), false);
    if (value == nullptr) return std::nullopt;
    if (*value == 0) return 1;
    return reader.positive(prefix + std::string(key), 1);
  };
  const auto factor = factor_under("rope.scaling.factor");
  const auto older = factor_under("rope.scale_linear");
  if (factor && older && *factor != *older) {
    reader.problem(fmt::format("{0}rope.scaling.factor: {1} contradicts {0}rope.scale_linear {2}",
                               prefix, *factor, *older));
  }
  // A factor without a type is linear.
  const bool scales = factor || older;
  const std::string type = reader.text(prefix + "rope.scaling.type", scales ? "linear" : "none");
  if (type == "linear") {
    if (!scales) reader.problem(prefix + "rope.scaling.factor: missing, the type is linear");
    rope->linear_factor = factor.value_or(older.value_or(1));
  } else if (type != "none" && type != "longrope") {  // whose factors are tensors
    reader.problem(fmt::format("{}rope.scaling.type: {}, expected none, linear or longrope", prefix,
                               shown(Json(type))));
  } else if (type == "none" && factor.value_or(older.value_or(1)) != 1) {
    reader.problem(prefix + "rope.scaling.type: none contradicts the factor beside it");
  }
  rope->attention_factor = reader.positive(prefix + "rope.scaling.attn_factor", 1);
}

void read_rope(const std::string& prefix, const Family& family, ParamReader& reader,
               Params* params) {
  RopeParams& rope = params->ropes.front();
  rope.theta = reader.positive(prefix + "rope.freq_base", 10000);
  const int64_t rotated =
      reader.integer(prefix + "rope.dimension_count", params->head_dim, kMaxInner);
  const bool partial = family.partial_rope && rotated < params->head_dim && rotated % 2 == 0;
  if (partial) {
    rope.channels = rotated;
  } else if (rotated != params->head_dim) {
    reader.problem(
        fmt::format("{}rope.dimension_count: {} of the {} channels of a head are rotated, which is "
                    "not implemented for {}",
                    prefix, rotated, params->head_dim, family.architecture));
  }
  read_scaling(prefix, reader, &rope);
}

// A number that 0 says as little of as a missing key.
std::optional<double> number_under(const std::string& key, ParamReader& reader) {
  const Json* value = reader.find(key, false);
  if (value == nullptr || *value == 0) return std::nullopt;
  return reader.positive(key, 1);
}

// Keys that change the mathematics of some architectures. At 0, or at the number beside them, they
// do not.
struct NeutralKey {
  std::string_view key;
  std::optional<double> neutral;
  bool (*counts)(const Family& family) = nullptr;  // null: for no family
};
constexpr bool has_multipliers(const Family& family) { return family.multipliers; }
constexpr NeutralKey kNeutral[] = {
    {"attention.clamp_kqv", {}},
    {"attention.max_alibi_bias", {}},
    {"attention.output_scale", 1},
    {"attention.scale", {}, has_multipliers},
    {"attn_logit_softcapping", {}, [](const Family& f) { return f.attention_cap.has_value(); }},
    {"embedding_scale", 1, has_multipliers},
    {"expert_count", {}},
    {"final_logit_softcapping", {}, [](const Family& family) { return family.final_cap; }},
    {"logit_scale", 1, has_multipliers},
    {"residual_scale", 1, has_multipliers},
};

void check_neutral(const std::string& prefix, const Family& family, ParamReader& reader) {
  for (const NeutralKey& row : kNeutral) {
    if (row.counts != nullptr && row.counts(family)) continue;
    const std::string key = prefix + std::string(row.key);
    const Json* value = reader.find(key, false);
    if (value == nullptr || *value == 0 || (row.neutral && *value == *row.neutral)) continue;
    reader.problem(fmt::format("{}: {} is not implemented for {}, only {} is", key, shown(*value),
                               family.architecture, row.neutral.value_or(0)));
  }
  // The switch of RoPE in files of the families that have multipliers.
  if (family.multipliers && !reader.flag(prefix + "rope.scaling.finetuned", true)) {
    reader.problem(prefix +
                   "rope.scaling.finetuned: false, a model without RoPE, is not implemented");
  }
}

void read_multipliers(const std::string& prefix, const Family& family, ParamReader& reader,
                      Params* params) {
  if (family.multipliers) {
    params->embedding_scale_factor = number_under(prefix + "embedding_scale", reader).value_or(1);
    params->attention_multiplier = number_under(prefix + "attention.scale", reader);
    params->residual_multiplier = number_under(prefix + "residual_scale", reader).value_or(1);
    params->logits_scaling = reader.required_positive(prefix + "logit_scale");
  }
  if (family.gguf_wide_scalar == params->n_layers) {
    const auto scalar = static_cast<double>(params->dim / params->n_heads);
    params->attention_multiplier = 1 / std::sqrt(scalar);
  }
  if (family.attention_cap) {
    params->attn_logit_softcapping =
        reader.positive(prefix + "attn_logit_softcapping", *family.attention_cap);
  }
  if (family.final_cap) {
    params->final_logit_softcapping = number_under(prefix + "final_logit_softcapping", reader);
    if (!params->final_logit_softcapping) params->final_logit_softcapping = family.logits_cap;
  }
}

// The tensors say which linears have biases.
void find_biases(std::span<const std::pair<std::string, WeightRef>> tensors, Params* params) {
  for (const TensorRow& row : layer_rows()) {
    if (row.kind != TensorKind::Bias || !find(tensors, row.name(Dialect::Gguf))) continue;
    if (row.presence == Presence::QkvBias) params->attention_qkv_bias = true;
    if (row.presence == Presence::OutputBias) params->attention_output_bias = true;
    if (row.presence == Presence::FfnBias) params->ffn_bias = true;
  }
}

// LongRoPE's factors of short and of long contexts, if the file has them.
Status read_long_rope(const Json& metadata, const std::string& prefix,
                      std::span<const std::pair<std::string, WeightRef>> tensors, int64_t rotated,
                      RopeParams* rope) {
  const WeightRef of_short = find(tensors, kRopeShortTensor),
                  of_long = find(tensors, kRopeLongTensor);
  const bool said = metadata.value(prefix + "rope.scaling.type", Json()) == "longrope";
  if (!of_short && !of_long && !said) {
    if (rope->attention_factor == 1) return {};
    return unsupported("{}rope.scaling.attn_factor: {} is implemented only beside {}, else 1",
                       prefix, rope->attention_factor, kRopeLongTensor);
  }
  if (!of_short || !of_long) {
    return invalid_data("{}: missing, RoPE is of type longrope",
                        of_short ? kRopeLongTensor : kRopeShortTensor);
  }
  if (rope->llama3 || rope->linear_factor != 1 || !rope->factors.empty()) {
    return unsupported("{} beside another scaling of RoPE", kRopeLongTensor);
  }
  rope->factors = TRY(read_factors(kRopeShortTensor, of_short, rotated));
  rope->long_factors = TRY(read_factors(kRopeLongTensor, of_long, rotated));
  auto trained = json_int(metadata, prefix + "rope.scaling.original_context_length");
  if (!trained) trained = json_int(metadata, prefix + "context_length");
  if (!trained || *trained < 1) {
    return invalid_data("{}rope.scaling.original_context_length: expected a count beside {}",
                        prefix, kRopeLongTensor);
  }
  rope->trained_context = static_cast<double>(*trained);
  return {};
}

// Keys whose value may be a list, an element a layer: equal elements become the number they are.
constexpr std::string_view kPerLayer[] = {"attention.head_count", "attention.head_count_kv",
                                          "feed_forward_length"};

Json with_equal_layers(const Json& metadata, const std::string& prefix) {
  Json changed = metadata;
  for (const std::string_view key : kPerLayer) {
    const auto found = changed.find(prefix + std::string(key));
    if (found == changed.end() || !found->is_array() || found->empty()) continue;
    const Json first = found->front();
    const bool equal = std::all_of(found->begin(), found->end(),
                                   [&](const Json& layer) { return layer == first; });
    if (equal && changed.value(prefix + "block_count", Json()) == found->size()) *found = first;
  }
  return changed;
}

}  // namespace

std::vector<float> llama3_rope_factors(const RopeParams& rope, int64_t head_dim) {
  std::vector<float> factors;
  const double trained = rope.trained_context;
  for (int64_t channel = 0; channel < head_dim; channel += 2) {
    const double exponent = static_cast<double>(channel) / static_cast<double>(head_dim);
    const double wavelength = 2 * std::numbers::pi * std::pow(rope.theta, exponent);
    double factor = rope.scale_factor;
    if (wavelength < trained / rope.high_freq_factor) {
      factor = 1;
    } else if (wavelength <= trained / rope.low_freq_factor) {
      const double smooth = (trained / wavelength - rope.low_freq_factor) /
                            (rope.high_freq_factor - rope.low_freq_factor);
      factor = 1 / ((1 - smooth) / rope.scale_factor + smooth);
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

Result<Description> describe_gguf(const Json& file_metadata,
                                  std::span<const std::pair<std::string, WeightRef>> tensors) {
  if (!file_metadata.is_object()) return invalid_data("metadata: expected an object");
  Description description;
  description.family = TRY(find_family(file_metadata));
  const Family& family = *description.family;
  const std::string prefix = std::string(family.gguf) + ".";
  const Json metadata = with_equal_layers(file_metadata, prefix);
  Params& params = description.params;
  ParamReader reader(metadata);
  params.dim = reader.required(prefix + "embedding_length", kMaxDim);
  params.n_layers = reader.required(prefix + "block_count", kMaxLayers);
  params.n_heads = reader.required(prefix + "attention.head_count", kMaxInner);
  params.hidden_dim = reader.required(prefix + "feed_forward_length", kMaxInner);
  params.n_kv_heads = reader.integer(prefix + "attention.head_count_kv", params.n_heads, kMaxInner);
  params.head_dim =
      reader.integer(prefix + "attention.key_length", params.dim / params.n_heads, kMaxInner);
  params.norm_eps = reader.required_positive(prefix + "attention.layer_norm_rms_epsilon");
  set_mathematics(family, &params);
  read_multipliers(prefix, family, reader, &params);
  check_neutral(prefix, family, reader);
  find_biases(tensors, &params);

  const WeightRef embedding =
      find(tensors, tensor_row(&LlamaWeights::tok_embeddings).name(Dialect::Gguf));
  const int64_t rows = embedding ? embedding->rows() : 0;
  params.vocab_size = reader.integer(prefix + "vocab_size", rows, kMaxVocab);
  if (params.vocab_size < 1) reader.problem(prefix + "vocab_size: missing, and no token_embd");
  if (params.vocab_size > kMaxVocab) {
    reader.problem(fmt::format("token_embd.weight: {} rows, expected 1 to {}", rows, kMaxVocab));
  }
  read_rope(prefix, family, reader, &params);
  const std::string window = prefix + "attention.sliding_window";
  if (family.has_layer_kinds() || metadata.contains(window + "_pattern")) {
    read_gguf_layer_kinds(metadata, prefix, family, reader, &params);
  } else if (metadata.contains(window)) {
    const auto size = json_int(metadata, window);
    if (!size || *size < 0 || *size > kMaxWindow) {
      reader.problem(fmt::format("{}: expected 0 to {}", window, kMaxWindow));
    } else if (*size > 0) {
      params.layers.assign(static_cast<size_t>(params.n_layers), {*size, 0});
    }
  }
  if (reader.clean()) check_relations(params, reader);
  TRY(reader.finish("metadata"));
  if (const WeightRef factors = find(tensors, kRopeFactorsTensor)) {
    TRY(read_rope_factors(factors, params.rotated(), &params.ropes.front()));
  }
  TRY(read_long_rope(metadata, prefix, tensors, params.rotated(), &params.ropes.front()));
  description.layout = {
      .dialect = Dialect::Gguf, .fused = family.fused, .halves = !family.gguf_pairs};
  return description;
}

}  // namespace diptych::llama
