#include "exporter/linear_choices.h"

#include <algorithm>
#include <map>

#include "quant/keep.h"

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

std::optional<quant::Quantization> by_algorithm(const Weight& weight,
                                                const std::optional<quant::Format>& format,
                                                quant::Algorithm algorithm) {
  if (!format) return std::nullopt;
  if (format->kind != quant::Kind::Kept) return quant::Quantization{*format, algorithm};
  const auto kept = quant::kept_format(weight);
  if (!kept) return std::nullopt;
  return quant::Quantization{*kept};
}

// Whether the groups of the linears' format do not divide a linear, which then has none.
bool lacks_groups(const NamedLinear& linear, const Options& options) {
  return options.groups_where_they_fit && options.linear && options.linear->group > 0 &&
         static_cast<int64_t>(linear.weight->row_elements()) % options.linear->group != 0;
}

// Refuses to keep what is not there.
Status check_kept(const llama::LlamaWeights& weights, const std::vector<NamedLinear>& linears,
                  const Options& options) {
  const auto& overrides = options.quantization.overrides;
  const auto keeps = [](const std::optional<quant::Format>& format) {
    return format && format->kind == quant::Kind::Kept;
  };
  const bool wanted =
      keeps(options.linear) || keeps(options.embedding) ||
      std::any_of(overrides.begin(), overrides.end(),
                  [&](const LinearOverride& change) { return keeps(change.format); });
  if (!wanted || quant::kept_format(*weights.tok_embeddings) ||
      std::any_of(linears.begin(), linears.end(), [](const NamedLinear& linear) {
        return quant::kept_format(*linear.weight).has_value();
      })) {
    return {};
  }
  return invalid_argument(
      "the format keep is for a checkpoint that is quantised, a GGUF; the tensors of this one are "
      "not: choose c4w, c8w, b4w or none for linears, 8,0, 4,32 or none for the embedding");
}

std::string format_text(const std::optional<quant::Quantization>& how) {
  if (!how) return "none";
  if (how->format.kind == quant::Kind::Kept) return quant::to_string(how->format);
  return fmt::format("{} by {}", quant::to_string(how->format), quant::method(*how));
}

}  // namespace

std::optional<quant::Quantization> quantization(const Weight& weight,
                                                const std::optional<quant::Format>& format,
                                                const Options& options) {
  return by_algorithm(weight, format, options.quantization.algorithm);
}

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
  TRY(check_kept(weights, linears, options));
  const auto choose = [&](NamedLinear& linear, const std::optional<quant::Format>& format) {
    linear.how = quantization(*linear.weight, format, options);
  };
  for (NamedLinear& linear : linears) {
    std::optional<quant::Format> format = options.linear;
    if (lacks_groups(linear, options)) format->group = 0;
    choose(linear, format);
  }
  if (options.share_head && weights.tied()) {
    linears.back().how = embedding_choice(weights, options);
  }
  for (const LinearOverride& change : options.quantization.overrides) {
    bool used = false;
    for (NamedLinear& linear : linears) {
      if (!fits(change.pattern, linear.tensor)) continue;
      used = true;
      choose(linear, change.format);
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

std::vector<std::string> group_notes(std::span<const NamedLinear> linears, const Options& options) {
  std::vector<const NamedLinear*> without;
  for (const NamedLinear& linear : linears) {
    const bool grouped = !linear.how || linear.how->format.group > 0;
    if (!grouped && lacks_groups(linear, options)) without.push_back(&linear);
  }
  if (without.empty()) return {};
  return {fmt::format("{}{}: rows of {} are not groups of {}; one scale a row",
                      without.front()->tensor,
                      without.size() > 1 ? fmt::format(" and {} more", without.size() - 1) : "",
                      without.front()->weight->row_elements(), options.linear->group)};
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

std::optional<quant::Quantization> embedding_choice(const llama::LlamaWeights& weights,
                                                    const Options& options) {
  return by_algorithm(*weights.tok_embeddings, options.embedding,
                      quant::info(options.quantization.algorithm).without_inputs);
}

HeadSharing head_sharing(const llama::LlamaWeights& weights, const NamedLinear& head,
                         const Options& options) {
  HeadSharing sharing;
  sharing.tied = weights.tied();
  const auto embedding = embedding_choice(weights, options);
  if (!sharing.tied) return sharing;
  if (embedding != head.how) {
    sharing.reason = fmt::format("the formats differ, embedding {} and head {}",
                                 format_text(embedding), format_text(head.how));
  } else if (options.graph_breaks && options.sharing != passes::WeightSharing::OnePackage) {
    sharing.reason = "they are in two packages";
    sharing.hint = {Advice::OnePackage};
  } else {
    sharing.shared = true;
  }
  return sharing;
}

}  // namespace diptych::exporter
