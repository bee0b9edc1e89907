#include "llama/weights.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

namespace diptych::llama {
namespace {

// Calls visit(expected, slot) for every tensor of the model: the one place that relates names,
// shapes and members. `weights.layers` has n_layers entries.
template <class Visit>
void visit_tensors(const Params& params, LlamaWeights& weights, Visit visit) {
  const int64_t dim = params.dim, hidden = params.hidden_dim, vocab = params.vocab_size;
  visit(ExpectedTensor{{"tok_embeddings.weight"}, {vocab, dim}}, weights.tok_embeddings);
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    LayerWeights& layer = weights.layers[i];
    const auto matrix = [&](std::string_view name, int64_t rows, int64_t columns, WeightRef& slot) {
      visit(ExpectedTensor{{fmt::format("layers.{}.{}.weight", i, name)}, {rows, columns}}, slot);
    };
    const auto norm = [&](std::string_view name, WeightRef& slot) {
      visit(ExpectedTensor{{fmt::format("layers.{}.{}.weight", i, name)}, {dim}}, slot);
    };
    // Upstream's static attention holds q, k and v in lists of one: "wq" is loaded as "wqs.0".
    const auto projection = [&](char which, int64_t rows, WeightRef& weight, WeightRef& bias) {
      const auto names = [&](std::string_view kind) {
        return std::vector<std::string>{
            fmt::format("layers.{}.attention.w{}.{}", i, which, kind),
            fmt::format("layers.{}.attention.w{}s.0.{}", i, which, kind)};
      };
      visit(ExpectedTensor{names("weight"), {rows, dim}}, weight);
      if (params.attention_qkv_bias) visit(ExpectedTensor{names("bias"), {rows}}, bias);
    };
    const auto head_norm = [&](char which, WeightRef& slot) {
      const auto name = [&](std::string_view suffix) {
        return fmt::format("layers.{}.attention.{}_norm{}.weight", i, which, suffix);
      };
      visit(ExpectedTensor{{name(""), name("_fn")}, {params.head_dim}}, slot);
    };
    norm("attention_norm", layer.attention_norm);
    projection('q', params.q_dim(), layer.wq, layer.bq);
    projection('k', params.kv_dim(), layer.wk, layer.bk);
    projection('v', params.kv_dim(), layer.wv, layer.bv);
    matrix("attention.wo", dim, params.q_dim(), layer.wo);
    if (params.use_qk_norm && params.qk_norm_affine) {
      head_norm('q', layer.q_norm);
      head_norm('k', layer.k_norm);
    }
    norm("ffn_norm", layer.ffn_norm);
    matrix("feed_forward.w1", hidden, dim, layer.w1);
    matrix("feed_forward.w2", dim, hidden, layer.w2);
    matrix("feed_forward.w3", hidden, dim, layer.w3);
  }
  visit(ExpectedTensor{{"norm.weight"}, {dim}}, weights.norm);
  visit(ExpectedTensor{{"output.weight"}, {vocab, dim}, true}, weights.output);
}

// Tables that older checkpoints carry and that follow from the parameters.
bool is_computable(std::string_view name) {
  constexpr std::string_view kFreqs = "rope.freqs";
  return name == kFreqs || name.ends_with(".rope.freqs") || name == "freqs_cos" ||
         name == "freqs_sin" || name == "freqs_cis";
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

std::vector<ExpectedTensor> expected_tensors(const Params& params) {
  LlamaWeights weights;
  weights.layers.resize(static_cast<size_t>(params.n_layers));
  std::vector<ExpectedTensor> tensors;
  visit_tensors(params, weights, [&](ExpectedTensor expected, WeightRef&) {
    tensors.push_back(std::move(expected));
  });
  return tensors;
}

Result<LlamaWeights> collect(const Params& params,
                             std::span<const std::pair<std::string, WeightRef>> tensors) {
  Findings findings;
  std::unordered_map<std::string_view, WeightRef> left;  // not assigned yet
  for (const auto& [name, weight] : tensors) {
    if (is_computable(name)) continue;
    if (!left.emplace(name, weight).second) {
      findings.surplus.push_back(fmt::format("surplus: {} occurs twice", shown(name)));
    }
  }

  LlamaWeights weights;
  weights.layers.resize(static_cast<size_t>(params.n_layers));
  visit_tensors(params, weights, [&](const ExpectedTensor& expected, WeightRef& slot) {
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
  for (const auto& [name, weight] : tensors) {
    if (left.erase(name) == 0) continue;
    findings.surplus.push_back(
        fmt::format("surplus: {} {}", shown(name), to_string(weight->shape())));
  }
  if (!findings.empty()) return tl::unexpected(std::move(findings).error());

  if (!weights.output || same_contents(weights.output, weights.tok_embeddings)) {
    weights.output = weights.tok_embeddings;
  }
  return weights;
}

Result<PreparedWeights> prepare(const Params& params, LlamaWeights weights, DType dtype) {
  if (dtype != DType::F16 && dtype != DType::F32) {
    return invalid_argument("a model computes in fp16 or fp32, not in {}", name(dtype));
  }
  PreparedWeights prepared{dtype, std::move(weights), {}};
  const bool tied = prepared.tensors.tied();
  visit_tensors(params, prepared.tensors, [&](const ExpectedTensor&, WeightRef& slot) {
    slot = cast(std::move(slot), dtype);
  });
  if (tied) prepared.tensors.output = prepared.tensors.tok_embeddings;
  for (const int64_t width :
       {params.dim, params.q_dim(), params.kv_dim(), params.hidden_dim, params.vocab_size}) {
    WeightRef& bias = prepared.zero_biases[width];
    if (!bias) bias = zeros({dtype, {width}});
  }
  return prepared;
}

}  // namespace diptych::llama
