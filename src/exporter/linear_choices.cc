#include "exporter/linear_choices.h"

#include <map>

namespace diptych::exporter {

namespace {

std::vector<NamedLinear> linears_of(const llama::LlamaWeights& weights) {
  using namespace llama::names;
  constexpr auto kMeta = llama::Dialect::Meta;
  std::vector<NamedLinear> linears;
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    const llama::LayerWeights& layer = weights.layers[i];
    const auto add = [&](const llama::RoleName& role, const WeightRef& weight) {
      linears.push_back({llama::layer_tensor(kMeta, i, role, "weight"), weight, {}});
    };
    add(kQ, layer.wq);
    add(kK, layer.wk);
    add(kV, layer.wv);
    add(kO, layer.wo);
    add(kGate, layer.w1);
    add(kDown, layer.w2);
    add(kUp, layer.w3);
  }
  linears.push_back({llama::model_tensor(kMeta, kOutput), weights.output, {}});
  return linears;
}

std::string format_text(const std::optional<passes::Quantization>& how) {
  if (!how) return "none";
  return fmt::format("{} by {}", passes::to_string(*how), passes::name(how->algorithm));
}

}  // namespace

bool fits(std::string_view pattern, std::string_view text) {
  // The last * and where what it stands for would go on.
  size_t star = pattern.npos, resume = 0, p = 0;
  for (size_t t = 0; t < text.size();) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

Result<std::vector<NamedLinear>> choose_linears(const llama::LlamaWeights& weights,
                                                const Options& options) {
  std::vector<NamedLinear> linears = linears_of(weights);
  for (NamedLinear& linear : linears) linear.how = options.linear;
  for (const LinearOverride& change : options.quantization.overrides) {
    bool used = false;
    for (NamedLinear& linear : linears) {
      if (!fits(change.pattern, linear.tensor)) continue;
      used = true;
      linear.how = change.how;
    }
    if (used) continue;
    Error error{ErrorCode::InvalidArgument, {}, {}, {}};
    error.setting = Setting::FormatOverride;
    error.message =
        fmt::format("no linear's tensor fits the pattern \"{}\"; there are", change.pattern);
    for (const NamedLinear& linear : linears) error.items.push_back(linear.tensor);
    return tl::unexpected(std::move(error));
  }
  for (NamedLinear& linear : linears) {
    if (linear.how) linear.how->algorithm = options.quantization.algorithm;
  }
  return linears;
}

std::vector<std::string> split_notes(std::span<const NamedLinear> linears,
                                     const passes::SplitOptions& options) {
  std::map<int64_t, std::vector<std::string_view>> uneven;  // tensors by outputs
  for (const NamedLinear& linear : linears) {
    const int64_t outputs = linear.weight->rows();
    if (passes::split_count(outputs, options) == passes::wanted_split_count(outputs, options)) {
      continue;
    }
    uneven[outputs].push_back(linear.tensor);
  }
  std::vector<std::string> notes;
  for (const auto& [outputs, tensors] : uneven) {
    const int64_t pieces = passes::split_count(outputs, options);
    notes.push_back(fmt::format(
        "{}{}: {} outputs do not divide into {} equal pieces, as the split size {} asks; {}",
        tensors.front(), tensors.size() > 1 ? fmt::format(" and {} more", tensors.size() - 1) : "",
        outputs, passes::wanted_split_count(outputs, options), options.target_size,
        pieces == 1 ? "left whole" : fmt::format("split into {}", pieces)));
  }
  return notes;
}

std::optional<passes::Quantization> embedding_choice(const Options& options) {
  auto how = options.embedding;
  const passes::Algorithm algorithm = options.quantization.algorithm;
  if (how)
    how->algorithm = algorithm == passes::Algorithm::Gptq ? passes::Algorithm::Mse : algorithm;
  return how;
}

HeadSharing head_sharing(const llama::LlamaWeights& weights, const NamedLinear& head,
                         const Options& options) {
  HeadSharing sharing;
  sharing.tied = weights.tied();
  const auto embedding = embedding_choice(options);
  if (!sharing.tied) return sharing;
  if (embedding != head.how) {
    sharing.reason = fmt::format("the formats differ, embedding {} and head {}",
                                 format_text(embedding), format_text(head.how));
  } else if (options.graph_breaks) {
    sharing.reason = "they are in two packages";
    sharing.hint = {Advice::OnePackage};
  } else {
    sharing.shared = true;
  }
  return sharing;
}

}  // namespace diptych::exporter
