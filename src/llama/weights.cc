#include "llama/weights.h"

#include <array>
#include <cstring>
#include <set>
#include <unordered_map>

#include "tensor/affine.h"
#include "tensor/finite_cast.h"
#include "tensor/views.h"

namespace diptych::llama {
namespace {

// The tensors as a checkpoint has them.
struct Collected {
  explicit Collected(const Params& params) : fused(static_cast<size_t>(params.n_layers)) {
    weights.layers.resize(fused.size());
  }
  LlamaWeights weights;
  std::vector<std::array<WeightRef, kFusions>> fused;  // by layer: matrices that hold several
};

// A matrix in place of those that it holds.
ExpectedTensor fused_tensor(const Params& params, Dialect dialect, size_t layer, Fusion fusion) {
  Shape shape = {0, params.dim};
  for (const TensorRow* part : fused_parts(fusion)) shape[0] += part->shape(params)[0];
  return {{fused_name(fusion, dialect, layer)}, std::move(shape)};
}

// Calls visit(expected, slot) for every tensor of the model as the layout has it.
template <class Visit>
void visit_tensors(const Params& params, const Layout& layout, Collected& model, Visit visit) {
  for (const auto& [row, layer] : all_tensors(model.fused.size())) {
    if (!row->is_in(params)) continue;
    if (layout.fused && row->fusion != Fusion::None) {
      if (row != fused_parts(row->fusion).front()) continue;
      visit(fused_tensor(params, layout.dialect, layer, row->fusion),
            model.fused[layer].at(static_cast<size_t>(row->fusion)));
      continue;
    }
    const bool optional = row->presence == Presence::Untied && layout.tied != Layout::Tied::No;
    visit(ExpectedTensor{row->accepted_names(layout.dialect, layer), row->shape(params), optional},
          row->in(model.weights, layer));
  }
}

bool is_norm(const TensorRow& row) {
  return row.kind == TensorKind::Norm || row.kind == TensorKind::HeadNorm;
}

// Brings the tensors of a layout to Meta's: fused ones apart, RoPE's channels to pairs, gains of
// norms to what they multiply by.
void arrange(const Params& params, const Layout& layout, Collected& model) {
  for (size_t layer = 0; layer < model.fused.size(); ++layer) {
    std::array<int64_t, kFusions> taken{};  // rows of each fused matrix
    for (const TensorRow& row : layer_rows()) {
      WeightRef& weight = row.in(model.weights, layer);
      if (layout.fused && row.fusion != Fusion::None) {
        const auto fusion = static_cast<size_t>(row.fusion);
        const int64_t rows = row.shape(params)[0];
        weight = row_slice(model.fused[layer].at(fusion), taken.at(fusion), rows);
        taken.at(fusion) += rows;
      }
      if (layout.halves && row.turned && weight) {
        weight = halves_to_pairs(std::move(weight), params.head_dim, params.rotated());
      }
    }
  }
  if (!layout.unit_offset) return;
  for (const auto& [row, layer] : all_tensors(model.fused.size())) {
    WeightRef& weight = row->in(model.weights, layer);
    if (is_norm(*row) && weight) weight = affine(std::move(weight), 1, 1);
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
  return name == kRopeFactorsTensor || name == kRopeShortTensor || name == kRopeLongTensor;
}

// Tensors of the parts beside a model's text part, whatever else stands before their names.
bool is_of_vision(std::string_view name) {
  constexpr std::string_view kModel = "model.";
  if (name.starts_with(kModel)) name.remove_prefix(kModel.size());
  return name.starts_with("vision_tower.") || name.starts_with("multi_modal_projector.");
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
std::string shown_name(std::string_view name) {
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

WeightRef& zero_bias(int64_t width, PreparedWeights& prepared) {
  WeightRef& bias = prepared.zero_biases[width];
  if (!bias) bias = zeros({prepared.dtype, {width}});
  return bias;
}

// Casts the matrices; the scale goes into the second ones.
void prepare_adapter(DType dtype, Adapter& adapter, PreparedWeights& prepared) {
  std::map<WeightRef, WeightRef> casts;  // of first ones, which linears of one x may share
  for (size_t layer = 0; layer < adapter.a.size(); ++layer) {
    for (const TensorRow& row : layer_rows()) {
      WeightRef &a = adapter.a[layer].*row.of_layer, &b = adapter.b[layer].*row.of_layer;
      if (!a) continue;
      const auto cast = [&](WeightRef weight, std::string_view matrix) {
        return finite_cast(std::move(weight), dtype,
                           fmt::format("adapter {}: {} of {}", adapter.name, matrix,
                                       row.name(Dialect::Meta, layer)));
      };
      WeightRef& known = casts[a];
      if (!known) known = cast(a, "lora_A");
      a = known;
      b = cast(affine(std::move(b), adapter.scale, 0), "lora_B");
      zero_bias(a->rows(), prepared);
    }
  }
  adapter.scale = 1;
}

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
    if (layout.beside_vision && is_of_vision(name)) continue;
    if (!left.emplace(known.back(), weight).second) {
      findings.surplus.push_back(fmt::format("surplus: {} occurs twice", shown_name(name)));
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
        fmt::format("surplus: {} {}", shown_name(name), to_string(weight->shape())));
  }
  LlamaWeights& weights = model.weights;
  const bool tied = findings.empty() &&
                    (!weights.output || same_contents(weights.output, weights.tok_embeddings));
  if (findings.empty() && !tied && layout.tied == Layout::Tied::Yes) {
    findings.misfit.push_back(
        fmt::format("{}: differs from {}, but the configuration says that they are tied",
                    tensor_row(&LlamaWeights::output).name(layout.dialect),
                    tensor_row(&LlamaWeights::tok_embeddings).name(layout.dialect)));
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
  if (params.logits_scaling != 1) {
    // The head is linear and its input norm's gain costs nothing, while the head may be the
    // embedding, whose rows must stay as they are.
    WeightRef& norm = model.weights.norm;
    norm = affine(std::move(norm), 1 / params.logits_scaling, 0);
  }
  if (params.residual_scale != 1) {
    for (LayerWeights& layer : model.weights.layers) {
      for (WeightRef* gain : {&layer.post_attention_norm, &layer.post_ffn_norm}) {
        *gain = affine(std::move(*gain), params.residual_scale, 0);
      }
    }
  }
  visit_tensors(params, {}, model, [&](const ExpectedTensor& expected, WeightRef& slot) {
    slot = finite_cast(std::move(slot), dtype, expected.names.front());
  });
  PreparedWeights prepared{dtype, std::move(model.weights), {}};
  if (WeightRef& gain = prepared.tensors.rotated_gain) {
    gain = finite_cast(std::move(gain), dtype, "rotated_gain.weight");
  }
  if (tied) prepared.tensors.output = prepared.tensors.tok_embeddings;
  for (Adapter& adapter : prepared.tensors.adapters) prepare_adapter(dtype, adapter, prepared);
  for (const int64_t width :
       {params.dim, params.q_dim(), params.kv_dim(), params.hidden_dim, params.vocab_size}) {
    zero_bias(width, prepared);
  }
  return prepared;
}

}  // namespace diptych::llama
