// The file beside what it was exported from: the graph that an export would build of the source,
// whose operations are to be the file's and whose weights those of the file up to its formats.
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "check/export_check.h"
#include "compare/align.h"
#include "compare/weights.h"
#include "contract/signature.h"
#include "llama/graph.h"
#include "llama/rotate.h"
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

const llama::Adapter* find_adapter(const llama::LlamaWeights& weights, std::string_view name) {
  for (const llama::Adapter& adapter : weights.adapters) {
    if (adapter.name == name) return &adapter;
  }
  return nullptr;
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

// The source with what the file does not say of itself.
struct Candidate {
  llama::Params params;
  llama::PreparedWeights weights;
  llama::NormForm norm;
};

Result<std::unique_ptr<Built>> build(const Candidate& candidate, const compare::Function& of) {
  auto built = std::make_unique<Built>();
  contract::Model own = of.variant->model;
  own.dtype = candidate.weights.dtype;
  built->contract.method = of.contract->method;
  built->contract.places = TRY(contract::signature(own, of.contract->method)).places;
  built->function.graph.name = "source";
  built->function.graph.function =
      TRY(llama::build(candidate.params, candidate.weights,
                       {own, of.contract->method, of.graph.partitions > 1, candidate.norm,
                        find_adapter(candidate.weights.tensors, of.variant->adapter)}));
  built->function.contract = &built->contract;
  built->function.layers = compare::Layers(built->function.function(), built->contract.places);
  compare::set_roles(built->function);
  return built;
}

// Rotated as the file says. Both forms of norms; and as a file does not say by which power of two
// its stream was scaled so that fp16 holds it, all of these.
Result<std::vector<Candidate>> candidates_of(llama::Params params,
                                             const llama::LlamaWeights& weights,
                                             llama::Rotations rotations, DType dtype) {
  std::vector<double> scales = {params.residual_scale};
  for (double scale = 0.5; params.scales_residual() && scale >= kLeastScale; scale /= 2) {
    scales.push_back(scale);
  }
  std::vector<Candidate> candidates;
  for (const double scale : scales) {
    params.residual_scale = scale;
    for (const llama::NormForm norm : {llama::NormForm::Plain, llama::NormForm::Safe}) {
      auto prepared = TRY(llama::prepare_rotated(params, weights, rotations, dtype));
      candidates.push_back({params, std::move(prepared), norm});
    }
  }
  return candidates;
}

// The alignment with the candidate that differs least, and that candidate's function.
struct Fit {
  compare::Alignment alignment;
  std::unique_ptr<Built> source;
};

Result<Fit> best_fit(std::span<const Candidate> candidates, const compare::Function& function) {
  std::optional<Fit> best;
  for (const Candidate& candidate : candidates) {
    auto built = TRY(build(candidate, function));
    compare::Alignment alignment = compare::align(function, built->function);
    if (best && best->alignment.differences.size() <= alignment.differences.size()) continue;
    best = Fit{std::move(alignment), std::move(built)};
    if (best->alignment.differences.empty()) break;
  }
  return std::move(*best);
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

// What weights of a file and of its source are made of. Functions that share a weight have it
// compared once.
using Parts = std::vector<const Weight*>;
using Compared = std::set<std::pair<Parts, Parts>>;

Parts parts_of(const compare::WeightOf& weight) {
  Parts parts;
  for (const mil::Value* piece : weight.pieces) {
    if (piece->is_constant()) {
      parts.push_back(piece->weight.get());
      continue;
    }
    for (const mil::Operand& operand : piece->producer->operands) {
      for (const mil::Value* value : operand.values) parts.push_back(value->weight.get());
    }
  }
  return parts;
}

Status compare_weights(const compare::Alignment& alignment, const compare::Function& function,
                       Subject& subject, Report& report, Progress& progress, Compared& compared,
                       double& worst) {
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
      if (!compared.emplace(parts_of(of_a[w]), parts_of(of_b[w])).second) continue;
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
      subject.weights.push_back({function.layers.of(*alignment.a.nodes[i].op), stored.name,
                                 compare::form_of(stored), found->relative});
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
  const compare::Function& first = *subject.opened.functions.front();
  const DType dtype = first.function().inputs[first.contract->places.masks.front()]->type.dtype;
  llama::Rotations rotations;
  if (const std::string& said = subject.card.rotation; !said.empty()) {
    rotations = TRY(within(card::kRotation, llama::rotations_from_name(said)));
  }
  const std::vector<Candidate> candidates =
      TRY(candidates_of(llama::for_context(subject.source->params, model->max_context),
                        subject.source->weights, rotations, dtype));
  double worst = 0;
  size_t aligned = 0;
  Compared compared;
  std::vector<std::string> unnamed;
  for (const auto& variant : subject.opened.variants) {
    if (!variant->adapter.empty() &&
        find_adapter(subject.source->weights, variant->adapter) == nullptr) {
      unnamed.push_back(variant->adapter);
      continue;
    }
    for (const compare::Function* function : variant->functions) {
      const auto [alignment, source] = TRY(best_fit(candidates, *function));
      aligned += alignment.aligned;
      tell_differences(alignment, *function, report);
      TRY(compare_weights(alignment, *function, subject, report, progress, compared, worst));
    }
  }
  if (!unnamed.empty()) {
    report.note(
        fmt::format("{} operations beside the source's, weights {:.3g} % apart at most; "
                    "not those of adapters that are not named: {}",
                    aligned, 100 * worst, fmt::join(unnamed, ", ")));
    return {};
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
    options.typed_positions = 0;  // a check of its own
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
