#include "llama/weights.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <unordered_map>

#include "tensor/finite_cast.h"
#include "tensor/views.h"

namespace diptych::llama {
namespace {

// Matrices that a fused layout has in place of several.
struct FusedLayer {
  WeightRef qkv;      // [(H+2K)*d, D]: q, k, v
  WeightRef gate_up;  // [2F, D]: gate, up
};

// The tensors as a checkpoint has them.
struct Collected {
  explicit Collected(const Params& params) : fused(static_cast<size_t>(params.n_layers)) {
    weights.layers.resize(fused.size());
  }
  LlamaWeights weights;
  std::vector<FusedLayer> fused;
};

// Calls visit(expected, slot) for every tensor of the model: the one place that relates names,
// shapes and members.
template <class Visit>
void visit_tensors(const Params& params, const Layout& layout, Collected& model, Visit visit) {
  const int64_t dim = params.dim, hidden = params.hidden_dim, vocab = params.vocab_size;
  const Dialect dialect = layout.dialect;
  LlamaWeights& weights = model.weights;
  visit(ExpectedTensor{{model_tensor(dialect, names::kEmbedding)}, {vocab, dim}},
        weights.tok_embeddings);
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    LayerWeights& layer = weights.layers[i];
    FusedLayer& fused = model.fused[i];
    const auto tensor = [&](const RoleName& role, Shape shape, WeightRef& slot) {
      visit(ExpectedTensor{{layer_tensor(dialect, i, role, "weight")}, std::move(shape)}, slot);
    };
    // Upstream's static attention holds q, k and v in lists of one: "wq" is loaded as "wqs.0".
    const auto projection = [&](const RoleName& role, int64_t rows, WeightRef& weight,
                                WeightRef& bias) {
      const auto names = [&](std::string_view kind) {
        std::vector<std::string> accepted = {layer_tensor(dialect, i, role, kind)};
        if (dialect == Dialect::Meta) {
          accepted.push_back(fmt::format("layers.{}.{}s.0.{}", i, role.meta, kind));
        }
        return accepted;
      };
      visit(ExpectedTensor{names("weight"), {rows, dim}}, weight);
      if (params.attention_qkv_bias) visit(ExpectedTensor{names("bias"), {rows}}, bias);
    };
    const auto head_norm = [&](const RoleName& role, WeightRef& slot) {
      std::vector<std::string> accepted = {layer_tensor(dialect, i, role, "weight")};
      if (dialect == Dialect::Meta) {
        accepted.push_back(fmt::format("layers.{}.{}_fn.weight", i, role.meta));
      }
      visit(ExpectedTensor{std::move(accepted), {params.head_dim}}, slot);
    };
    tensor(names::kAttentionNorm, {dim}, layer.attention_norm);
    if (layout.fused) {
      tensor(names::kQkv, {params.q_dim() + 2 * params.kv_dim(), dim}, fused.qkv);
    } else {
      projection(names::kQ, params.q_dim(), layer.wq, layer.bq);
      projection(names::kK, params.kv_dim(), layer.wk, layer.bk);
      projection(names::kV, params.kv_dim(), layer.wv, layer.bv);
    }
    tensor(names::kO, {dim, params.q_dim()}, layer.wo);
    if (params.use_qk_norm && params.qk_norm_affine) {
      head_norm(names::kQNorm, layer.q_norm);
      head_norm(names::kKNorm, layer.k_norm);
    }
    tensor(names::kFfnNorm, {dim}, layer.ffn_norm);
    if (layout.fused) {
      tensor(names::kGateUp, {2 * hidden, dim}, fused.gate_up);
    } else {
      tensor(names::kGate, {hidden, dim}, layer.w1);
    }
    tensor(names::kDown, {dim, hidden}, layer.w2);
    if (!layout.fused) tensor(names::kUp, {hidden, dim}, layer.w3);
  }
  visit(ExpectedTensor{{model_tensor(dialect, names::kNorm)}, {dim}}, weights.norm);
  visit(
      ExpectedTensor{
          {model_tensor(dialect, names::kOutput)}, {vocab, dim}, layout.tied != Layout::Tied::No},
      weights.output);
}

// Brings the tensors of a layout to Meta's: fused ones apart, RoPE's channels to pairs.
void arrange(const Params& params, const Layout& layout, Collected& model) {
  const int64_t q = params.q_dim(), kv = params.kv_dim(), hidden = params.hidden_dim;
  for (size_t i = 0; i < model.fused.size(); ++i) {
    LayerWeights& layer = model.weights.layers[i];
    if (layout.fused) {
      const FusedLayer& fused = model.fused[i];
      layer.wq = row_view(fused.qkv, 0, q);
      layer.wk = row_view(fused.qkv, q, kv);
      layer.wv = row_view(fused.qkv, q + kv, kv);
      layer.w1 = row_view(fused.gate_up, 0, hidden);
      layer.w3 = row_view(fused.gate_up, hidden, hidden);
    }
    if (!layout.halves) continue;
    for (WeightRef* weight :
         {&layer.wq, &layer.wk, &layer.bq, &layer.bk, &layer.q_norm, &layer.k_norm}) {
      if (*weight) *weight = halves_to_pairs(std::move(*weight), params.head_dim);
    }
  }
}

// Tables that older checkpoints carry and that follow from the parameters.
bool is_computable(std::string_view name) {
  constexpr std::string_view kTables[] = {"rope.freqs",
                                          "freqs_cos",
                                          "freqs_sin",
                                          "freqs_cis",
                                          "rotary_emb.inv_freq",
                                          "rotary_emb.cos_cached",
                                          "rotary_emb.sin_cached"};
  for (const std::string_view table : kTables) {
    if (name == table) return true;
    if (name.ends_with(table) && name[name.size() - table.size() - 1] == '.') return true;
  }
  return name == kRopeFactorsTensor;
}

// What programs put before the names of a whole model's tensors (a trainer, a compiler, a model
// around this one), in any order; "model." is also the language model's own in a causal one.
constexpr std::string_view kPrefixes[] = {"module.",      "_orig_mod.",      "base_model.",
                                          "transformer.", "language_model.", "model."};
// What they put in between as well.
constexpr std::string_view kInfixes[] = {"_orig_mod.", "_fsdp_wrapped_module.",
                                         "_checkpoint_wrapped_module."};

// The name that the model knows a tensor by, if it is that but for prefixes; else `name` itself.
std::string known_name(std::string_view name, const std::set<std::string>& expected) {
  constexpr size_t kLongest = 1024;
  std::string whole(name);
  if (expected.contains(whole) || name.size() > kLongest) return whole;
  std::string_view rest = name;
  const auto strip = [&] {
    for (const std::string_view prefix : kPrefixes) {
      if (!rest.starts_with(prefix)) continue;
      rest.remove_prefix(prefix.size());
      return true;
    }
    return false;
  };
  while (strip()) {
  }
  std::string core(rest);
  for (const std::string_view infix : kInfixes) {
    for (size_t at = core.find(infix); at != core.npos; at = core.find(infix, at)) {
      core.erase(at, infix.size());
    }
  }
  if (expected.contains(core) || is_computable(core)) return core;
  if (std::string causal = "model." + core; expected.contains(causal)) return causal;
  return whole;
}

// Names of a hostile checkpoint may be of any length and hold any bytes.
std::string shown(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 120)) text += c > ' ' && c < '\x7f' ? c : '?';
  if (name.size() > 120) text += "...";
  return text;
}

// Whether two tensors of the same shape hold the same elements, as far as the stored bytes tell.
bool same_contents(const WeightRef& a, const WeightRef& b) {
  if (a == b) return true;
  const auto a_bytes = a->bytes(), b_bytes = b->bytes();
  if (a->type() != b->type() || !a_bytes || !b_bytes) return false;
  return a_bytes->data() == b_bytes->data() ||
         std::memcmp(a_bytes->data(), b_bytes->data(), a_bytes->size()) == 0;
}

// The findings of collect(), by kind, in the order in which they are reported.
struct Findings {
  std::vector<std::string> missing, misfit, surplus;

  bool empty() const { return missing.empty() && misfit.empty() && surplus.empty(); }

  Error error() && {
    Error error{ErrorCode::InvalidData, {}, {}, std::move(missing)};
    error.message = fmt::format(
        "the tensors do not fit the model's parameters: {} missing, {} of the wrong type, {} "
        "surplus",
        error.items.size(), misfit.size(), surplus.size());
    for (auto* list : {&misfit, &surplus}) {
      error.items.insert(error.items.end(), std::make_move_iterator(list->begin()),
                         std::make_move_iterator(list->end()));
    }
    return error;
  }
};

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const Params& params, const Layout& layout) {
  Collected model(params);
  std::vector<ExpectedTensor> tensors;
  visit_tensors(params, layout, model, [&](ExpectedTensor expected, WeightRef&) {
    tensors.push_back(std::move(expected));
  });
  return tensors;
}

Result<LlamaWeights> collect(const Params& params,
                             std::span<const std::pair<std::string, WeightRef>> tensors,
                             const Layout& layout) {
  Findings findings;
  std::set<std::string> expected_names;
  for (ExpectedTensor& expected : expected_tensors(params, layout)) {
    expected_names.insert(expected.names.begin(), expected.names.end());
  }
  std::vector<std::string> known;                   // names of `tensors` as the model knows them
  std::unordered_map<std::string, WeightRef> left;  // by these, not assigned yet
  for (const auto& [name, weight] : tensors) {
    known.push_back(known_name(name, expected_names));
    if (is_computable(known.back())) continue;
    if (!left.emplace(known.back(), weight).second) {
      findings.surplus.push_back(fmt::format("surplus: {} occurs twice", shown(name)));
    }
  }

  Collected model(params);
  visit_tensors(params, layout, model, [&](const ExpectedTensor& expected, WeightRef& slot) {
    std::string_view taken;
    for (const std::string& name : expected.names) {
      const auto at = left.find(name);
      if (at == left.end()) continue;
      if (!slot) {
        slot = at->second;
        taken = name;
      } else {
        findings.surplus.push_back(
            fmt::format("surplus: {} is the same tensor as {}", name, taken));
      }
      left.erase(at);
    }
    if (!slot) {
      if (expected.optional) return;
      findings.missing.push_back(
          fmt::format("missing: {} {}", expected.names.front(), to_string(expected.shape)));
    } else if (slot->shape() != expected.shape || !is_float(slot->dtype())) {
      findings.misfit.push_back(fmt::format("{}: expected floats {}, found {}", taken,
                                            to_string(expected.shape), to_string(slot->type())));
    }
  });
  // In the checkpoint's order.
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (left.erase(known[i]) == 0) continue;
    const auto& [name, weight] = tensors[i];
    findings.surplus.push_back(
        fmt::format("surplus: {} {}", shown(name), to_string(weight->shape())));
  }
  LlamaWeights& weights = model.weights;
  const bool tied = findings.empty() &&
                    (!weights.output || same_contents(weights.output, weights.tok_embeddings));
  if (findings.empty() && !tied && layout.tied == Layout::Tied::Yes) {
    findings.misfit.push_back(
        fmt::format("{}: differs from {}, but the configuration says that they are tied",
                    model_tensor(layout.dialect, names::kOutput),
                    model_tensor(layout.dialect, names::kEmbedding)));
  }
  if (!findings.empty()) return tl::unexpected(std::move(findings).error());

  if (tied) weights.output = weights.tok_embeddings;
  arrange(params, layout, model);
  return std::move(weights);
}

Result<PreparedWeights> prepare(const Params& params, LlamaWeights weights, DType dtype) {
  if (dtype != DType::F16 && dtype != DType::F32) {
    return invalid_argument("a model computes in fp16 or fp32, not in {}", name(dtype));
  }
  const bool tied = weights.tied();
  Collected model(params);
  model.weights = std::move(weights);
  visit_tensors(params, {}, model, [&](const ExpectedTensor& expected, WeightRef& slot) {
    slot = finite_cast(std::move(slot), dtype, expected.names.front());
  });
  PreparedWeights prepared{dtype, std::move(model.weights), {}};
  if (tied) prepared.tensors.output = prepared.tensors.tok_embeddings;
  for (const int64_t width :
       {params.dim, params.q_dim(), params.kv_dim(), params.hidden_dim, params.vocab_size}) {
    WeightRef& bias = prepared.zero_biases[width];
    if (!bias) bias = zeros({dtype, {width}});
  }
  return prepared;
}

}  // namespace diptych::llama
