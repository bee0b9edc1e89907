// The file beside what it was exported from: the graph that an export would build of the source,
// whose operations are to be the file's and whose weights those of the file up to its formats.
#include <algorithm>
#include <cmath>
#include <set>

#include "check/export_check.h"
#include "compare/align.h"
#include "compare/weights.h"
#include "contract/signature.h"
#include "llama/graph.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

constexpr size_t kMostDifferences = 4;
constexpr double kLeastScale = 0x1p-12;

// How far weights of so many bits may be from what they were, and their norms.
struct Allowed {
  int bits;
  double relative, ratio, kl;
};
constexpr Allowed kAllowed[] = {
    {16, 4e-3, 2e-3, 0.02}, {8, 0.04, 0.01, 0.1}, {6, 0.12, 0.05, 0.5}, {4, 0.4, 0.06, 1.5}};
constexpr Allowed kFewBits = {0, 0.8, 0.3, 4};

const Allowed& allowed(int bits) {
  for (const Allowed& row : kAllowed) {
    if (bits >= row.bits) return row;
  }
  return kFewBits;
}

// Why the source cannot be the file's; empty if it can.
std::string other_model(const llama::Params& params, const contract::Description& model) {
  struct Number {
    const char* what;
    int64_t source, file;
  };
  const Number numbers[] = {
      {"layers", params.n_layers, static_cast<int64_t>(model.layers())},
      {"tokens in its vocabulary", params.vocab_size, model.vocab_size},
      {"heads of keys and values", params.n_kv_heads, model.kv_heads},
      {"channels in a head", params.head_dim, model.head_dim},
      {"columns in its position tables", params.rope_dim(), model.rope_width}};
  std::string text;
  for (const Number& number : numbers) {
    if (number.source == number.file) continue;
    text += fmt::format("{}it has {} {}, the file {}", text.empty() ? "" : "; ", number.source,
                        number.what, number.file);
  }
  return text;
}

// The source's own function for a function of the file.
struct Built {
  contract::Function contract;
  compare::Function function;
};

Result<std::unique_ptr<Built>> build(const llama::Params& params,
                                     const llama::PreparedWeights& weights,
                                     const contract::Description& model,
                                     const compare::Function& of, llama::NormForm norm) {
  auto built = std::make_unique<Built>();
  contract::Model own = model;
  own.dtype = weights.dtype;
  built->contract.method = of.contract->method;
  built->contract.places = TRY(contract::signature(own, of.contract->method)).places;
  built->function.graph.name = "source";
  auto graph =
      llama::build(params, weights, {own, of.contract->method, of.graph.partitions > 1, norm});
  if (!graph) return tl::unexpected(std::move(graph.error()));
  built->function.graph.function = std::move(*graph);
  built->function.contract = &built->contract;
  built->function.layers = compare::Layers(built->function.function(), built->contract.places);
  compare::set_roles(built->function, model.layers());
  return built;
}

void tell_differences(const compare::Alignment& alignment, const compare::Function& function,
                      Report& report) {
  size_t told = 0;
  for (const compare::Difference& difference : alignment.differences) {
    if (told++ == kMostDifferences) return;
    const bool only_source = difference.a == nullptr;
    std::string what;
    if (only_source) {
      what = fmt::format("lacks {} '{}' of the source, {}", difference.b->type,
                         difference.b->result()->name, difference.what);
    } else if (difference.b == nullptr) {
      what = fmt::format("is not in the source, {}", difference.what);
    } else {
      what = fmt::format("differs from the source: {}", difference.what);
    }
    report.find(only_source ? function.graph.name : function.place(*difference.a), std::move(what));
  }
}

Status compare_weights(const compare::Alignment& alignment, const compare::Function& function,
                       Subject& subject, Report& report, Progress& progress, double& worst) {
  progress.begin("comparing weights", alignment.a.nodes.size());
  for (size_t i = 0; i < alignment.a.nodes.size(); ++i) {
    progress.advance(1);
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    if (!alignment.of_a[i]) continue;
    const auto of_a = compare::weights_of(alignment.a.nodes[i]);
    const auto of_b = compare::weights_of(alignment.b.nodes[*alignment.of_a[i]]);
    if (of_a.size() != of_b.size()) {
      report.find(function.place(*alignment.a.nodes[i].op),
                  fmt::format("has {} weights, the source {}", of_a.size(), of_b.size()));
      continue;
    }
    for (size_t w = 0; w < of_a.size(); ++w) {
      const mil::Value& stored = *of_a[w].pieces.front();
      const std::string place =
          fmt::format("{}, weight '{}'", function.place(*alignment.a.nodes[i].op), stored.name);
      const auto found = compare::distance(of_a[w], of_b[w], *subject.pool);
      if (!found) {
        report.find(place, found.error().to_string());
        continue;
      }
      const Allowed& limits = allowed(compare::stored_bits(stored));
      worst = std::max(worst, found->relative);
      if (found->relative <= limits.relative && std::fabs(found->ratio - 1) <= limits.ratio)
        continue;
      report.find(place,
                  fmt::format("{}: {:.3g} % from the source, {:.4f} times its norm, row {} most",
                              compare::form_of(stored), 100 * found->relative, found->ratio,
                              found->worst_row),
                  found->relative);
    }
  }
  return {};
}

}  // namespace

Status check_source(Subject& subject, Report& report, Progress& progress) {
  const contract::Description* model = subject.model();
  if (!subject.source) {
    report.does_not_apply("no source is named");
    return {};
  }
  const std::string other = other_model(subject.source->params, *model);
  if (!other.empty()) {
    report.find("", "the source is another model: " + other);
    return {};
  }
  llama::Params params = llama::for_context(subject.source->params, model->max_context);
  const contract::Places& at = subject.opened.functions.front()->contract->places;
  const DType dtype =
      subject.opened.functions.front()->function().inputs[at.masks.front()]->type.dtype;
  // A file does not say by which power of two its stream was scaled so that fp16 holds it.
  std::vector<llama::Params> candidates = {params};
  for (double scale = 0.5; params.scales_residual() && scale >= kLeastScale; scale /= 2) {
    candidates.push_back(params);
    candidates.back().residual_scale = scale;
  }
  double worst = 0;
  size_t aligned = 0;
  std::set<const Weight*> seen;
  for (const auto& function : subject.opened.functions) {
    if (function->contract == nullptr) continue;
    std::optional<compare::Alignment> best;
    std::unique_ptr<Built> source;
    for (const llama::Params& candidate : candidates) {
      for (const llama::NormForm norm : {llama::NormForm::Plain, llama::NormForm::Safe}) {
        if (best && best->differences.empty()) break;
        const auto weights = TRY(llama::prepare(candidate, subject.source->weights, dtype));
        auto built = TRY(build(candidate, weights, *model, *function, norm));
        compare::Alignment alignment = compare::align(*function, built->function);
        if (best && best->differences.size() <= alignment.differences.size()) continue;
        best = std::move(alignment);
        source = std::move(built);
      }
    }
    aligned += best->aligned;
    tell_differences(*best, *function, report);
    // Functions that share their weights have them compared once.
    bool is_new = false;
    for (const mil::Value* constant : function->function().constants()) {
      if (constant->weight != nullptr && constant->weight->elements() > 16) {
        is_new = seen.insert(constant->weight.get()).second || is_new;
      }
    }
    if (is_new) TRY(compare_weights(*best, *function, subject, report, progress, worst));
  }
  report.note(fmt::format("{} operations beside the source's, weights {:.3g} % apart at most",
                          aligned, 100 * worst));
  return {};
}

Status check_source_text(Subject& subject, Report& report, Progress& progress) {
  const contract::Description* model = subject.model();
  if (!subject.source) {
    report.does_not_apply("no source is named");
    return {};
  }
  if (subject.tokenizer == nullptr) {
    report.does_not_apply("the file carries no tokenizer");
    return {};
  }
  if (!other_model(subject.source->params, *model).empty()) {
    report.does_not_apply("the source is another model");
    return {};
  }
  int bits = 16;
  for (const auto& function : subject.opened.functions) {
    for (const auto& op : function->function().ops) {
      const mil::Value* weight = op->type == "linear" ? op->operand("weight") : nullptr;
      if (weight != nullptr) bits = std::min(bits, compare::stored_bits(*weight));
    }
  }
  std::optional<check::ExportCheck> checked = subject.options->compared;
  if (!checked) {
    check::CheckOptions options;
    options.dtype = DType::F32;
    options.positions = subject.options->positions;
    options.threads = subject.options->threads;
    checked = TRY(check::check_export(*subject.source, subject.path, options, progress));
  }
  const evaluate::Evaluation& e = checked->evaluation;
  const double kl = e.comparison->mean_kl;
  const double most = subject.options->max_kl.value_or(allowed(bits).kl);
  if (!(kl <= most)) {
    report.find(
        "",
        fmt::format("KL divergence {:.3f} from the source, at most {:.3f} is expected", kl, most),
        kl);
  }
  report.note(fmt::format("{} positions, KL {:.4f}, perplexity {:.2f}, {:.2f} of the source",
                          e.positions, kl, e.model.perplexity(), e.reference->perplexity()));
  return {};
}

}  // namespace diptych::verify
