#include "exporter/linear_choices.h"

#include <map>

namespace diptych::exporter {

namespace {

std::vector<NamedLinear> linears_of(const llama::LlamaWeights& weights) {
  std::vector<NamedLinear> linears;
  for (const auto& [row, layer] : llama::all_tensors(weights.layers.size())) {
    if (row->kind != llama::TensorKind::Linear) continue;
    linears.push_back({row->name(llama::Dialect::Meta, layer), row->in(weights, layer), {}});
  }
  return linears;
}

std::optional<quant::Quantization> quantization(const std::optional<quant::Format>& format,
                                                quant::Algorithm algorithm) {
  if (!format) return std::nullopt;
  return quant::Quantization{*format, algorithm};
}

std::string format_text(const std::optional<quant::Quantization>& how) {
  if (!how) return "none";
  return fmt::format("{} by {}", quant::to_string(how->format), quant::method(*how));
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
  const auto by_algorithm = [&](const std::optional<quant::Format>& format) {
    // Palettes are fitted to the weights alone.
    const quant::Algorithm algorithm = options.quantization.algorithm;
    const bool palette = format && format->kind == quant::Kind::Palette;
    return quantization(format, palette ? quant::info(algorithm).without_inputs : algorithm);
  };
  for (NamedLinear& linear : linears) linear.how = by_algorithm(options.linear);
  if (options.share_head && weights.tied()) linears.back().how = embedding_choice(options);
  for (const LinearOverride& change : options.quantization.overrides) {
    bool used = false;
    for (NamedLinear& linear : linears) {
      if (!fits(change.pattern, linear.tensor)) continue;
      used = true;
      linear.how = by_algorithm(change.format);
    }
    if (used) continue;
    Error error{ErrorCode::InvalidArgument, {}, {}, {}};
    error.setting = Setting::FormatOverride;
    error.message =
        fmt::format("no linear's tensor fits the pattern \"{}\"; there are", change.pattern);
    for (const NamedLinear& linear : linears) error.items.push_back(linear.tensor);
    return tl::unexpected(std::move(error));
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

std::optional<quant::Quantization> embedding_choice(const Options& options) {
  return quantization(options.embedding,
                      quant::info(options.quantization.algorithm).without_inputs);
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
