#include "exporter/export.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "exporter/allocate.h"
#include "exporter/assemble.h"
#include "exporter/calibrate.h"
#include "exporter/complete.h"
#include "exporter/rotations.h"
#include "exporter/source.h"
#include "llama/graph.h"
#include "llama/rope.h"
#include "llama/static_model.h"
#include "passes/pass.h"
#include "passes/sharing.h"
#include "pte/writer.h"
#include "quant/keep.h"

namespace diptych::exporter {

namespace {

std::vector<contract::Method> methods_of(const Options& options) {
  using contract::Role;
  if (!options.multifunction) return {contract::method_of(Role::Single, options.input_len)};
  std::vector<contract::Method> methods = {contract::method_of(Role::Decode, 1)};
  if (options.prefill_lens.empty()) {
    methods.push_back(contract::method_of(Role::Prefill, options.input_len));
  }
  for (size_t i = 0; i < options.prefill_lens.size(); ++i) {
    methods.push_back(i == 0 ? contract::method_of(Role::Prefill, options.prefill_lens[i])
                             : contract::further_method_of(Role::Prefill, options.prefill_lens[i]));
  }
  if (options.verify_len) {
    methods.push_back(contract::method_of(Role::Verify, *options.verify_len));
  }
  return methods;
}

// The methods of an adapter beside those of the model.
std::vector<contract::Method> adapted(std::vector<contract::Method> methods,
                                      std::string_view adapter) {
  for (contract::Method& method : methods) {
    method.name = contract::with_adapter(method.name, adapter);
  }
  return methods;
}

// The cache that the method of the fewest tokens needs to reach the whole context; all share it.
int64_t cache_length(const Options& options, const std::vector<contract::Method>& methods) {
  int64_t fewest = options.max_context_len;
  for (const contract::Method& method : methods) fewest = std::min(fewest, method.tokens);
  return options.max_context_len - fewest;
}

// Quantised weights in the place of those that only a calibration gives, of the same types.
void stand_in(const std::vector<NamedLinear>& linears, quant::Cache& quantized) {
  for (const NamedLinear& linear : linears) {
    if (!linear.how || !quant::needs_inputs(linear.how->algorithm)) continue;
    const auto types = quant::quantize(linear.weight, {linear.how->format}, linear.tensor);
    if (!types) continue;  // a width that the pass refuses together with others
    quantized.remember(linear.weight, *linear.how, *types);
  }
}

// Reads what may keep weights from being kept.
Status check_kept(std::span<const NamedLinear> tensors) {
  for (const NamedLinear& tensor : tensors) {
    if (tensor.how && tensor.how->format.kind == quant::Kind::Kept) {
      TRY(quant::check_kept(tensor.weight, tensor.tensor));
    }
  }
  return {};
}

// Adapters are small.
void keep_whole(const std::vector<llama::Adapter>& adapters, passes::SplitOptions& split) {
  for (const llama::Adapter& adapter : adapters) {
    for (const auto* layers : {&adapter.a, &adapter.b}) {
      for (const llama::LayerWeights& layer : *layers) {
        for (const llama::TensorRow& row : llama::layer_rows()) {
          if (const WeightRef& weight = layer.*row.of_layer) split.whole.insert(weight.get());
        }
      }
    }
  }
}

Status run_export_passes(mil::Program& program, const Options& options,
                         const std::vector<NamedLinear>& linears,
                         const std::vector<llama::Adapter>& adapters,
                         const std::optional<quant::Quantization>& embedding, bool share_head,
                         std::shared_ptr<quant::Cache> quantized) {
  passes::PassOptions pass_options;
  pass_options.split = options.split;
  keep_whole(adapters, pass_options.split);
  if (share_head) pass_options.split.whole.insert(linears.back().weight.get());
  pass_options.linear.reset();
  for (const NamedLinear& linear : linears) {
    pass_options.linear_choices[linear.weight.get()] = linear.how;
  }
  pass_options.quantized = std::move(quantized);
  std::vector<std::string_view> names = {"split-linears", "quantize-linears"};
  if (embedding) {
    pass_options.embedding = *embedding;
    names.push_back("quantize-embeddings");
  }
  names.push_back("share-constants");
  return passes::run_passes(program, names, pass_options);
}

// Reports what passes through to a Progress.
class ProgressSink : public Sink {
 public:
  ProgressSink(Sink& sink, Progress& progress) : sink_(sink), progress_(progress) {}
  Status write(Bytes bytes) override {
    if (progress_.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    TRY(sink_.write(bytes));
    progress_.advance(bytes.size());
    return {};
  }

 private:
  Sink& sink_;
  Progress& progress_;
};

// Refuses packages in which methods keep more for themselves than they may.
Status check_unshared(const std::vector<passes::Package>& packages,
                      const std::vector<AssembledMethod>& methods, const Options& options) {
  if (!options.max_unshared) return {};
  std::vector<passes::UsedPackage> used;
  for (const passes::Package& package : packages) {
    used.push_back({&package.program, {}});
    for (const auto& member : package.members) used.back().methods.push_back({member.method});
  }
  std::vector<std::string_view> adapters;
  for (const AssembledMethod& method : methods) {
    adapters.push_back(contract::adapted_name(method.method.name).adapter);
  }
  std::vector<passes::StoredWeight> unshared = passes::stored_weights(used, adapters);
  std::erase_if(unshared, [](const passes::StoredWeight& row) { return !row.unshared; });
  std::stable_sort(unshared.begin(), unshared.end(),
                   [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  uint64_t bytes = 0;
  for (const passes::StoredWeight& row : unshared) bytes += row.bytes;
  if (bytes <= *options.max_unshared) return {};
  constexpr size_t kNamed = 3;
  std::string names;
  for (const auto& row : std::span(unshared).first(std::min(kNamed, unshared.size()))) {
    std::vector<std::string_view> owners;
    for (const size_t method : row.methods) owners.push_back(methods[method].method.name);
    names += fmt::format("{}{} ({} bytes, of {})", names.empty() ? "" : ", ", row.name, row.bytes,
                         fmt::join(owners, " and "));
  }
  if (unshared.size() > kNamed) names += fmt::format(" and {} more", unshared.size() - kNamed);
  return about(Setting::MostUnshared,
               invalid_argument("expected at most {} bytes of weights that not all methods share, "
                                "found {}: {}",
                                *options.max_unshared, bytes, names));
}

// Keys and values of all layers, for one method: methods share the caches.
uint64_t cache_bytes(const contract::Signature& method) {
  uint64_t bytes = 0;
  for (const auto* caches : {&method.places.key_inputs, &method.places.value_inputs}) {
    for (const size_t cache : *caches) {
      bytes += packed_size(method.inputs[cache].type).value_or(0);
    }
  }
  return bytes;
}

uint64_t parameter_count(const llama::Params& params) {
  uint64_t count = 0;
  for (const llama::ExpectedTensor& tensor : llama::expected_tensors(params)) {
    if (!tensor.optional) count += element_count(tensor.shape).value_or(0);
  }
  return count;
}

// How many bytes all linears may take: so many that the file has the size that is wanted, or that
// they have the bits that are.
Result<uint64_t> linear_budget(const llama::Params& params, const llama::LlamaWeights& weights,
                               const std::vector<NamedLinear>& linears, const Options& options,
                               const card::ModelCard& card) {
  const uint64_t target = options.quantization.target_bytes;
  if (target == 0) return budget_of(linears, options);
  Options smallest = options;
  smallest.quantization.target_bytes = 0;
  smallest.quantization.bits = 0;
  Progress silent;
  const uint64_t least =
      TRY(plan(params, weights, smallest, silent, Reading::HeadersOnly, card)).report.file_bytes;
  // What formats of more bits need besides their bits: scales are aligned, shapes are longer text.
  constexpr uint64_t kMorePerPiece = 512;
  uint64_t spare = kMorePerPiece, used = 0;
  for (const NamedLinear& linear : linears) {
    spare += kMorePerPiece *
             static_cast<uint64_t>(passes::split_count(linear.weight->rows(), options.split));
    if (linear.how) used += packed_bytes(*linear.weight, linear.how->format, options.dtype);
  }
  if (target < least) {
    return about(
        Setting::TargetSize,
        invalid_argument("expected at least {} bytes, which the formats of the fewest bits "
                         "take, found {}",
                         least, target));
  }
  return used + (target - least > spare ? target - least - spare : 0);
}

// Refuses weights that are not finite, or not in the type of the export, before a calibration.
// Without one, the digests that the file needs do that. What is hashed here is not read for them
// again.
Status look_at_weights(const llama::LlamaWeights& weights, DigestCache& digests,
                       Progress& progress) {
  progress.begin("checking weights", 0);
  const auto look = [&](const WeightRef& weight) -> Status {
    if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
    if (weight) weight->digest(digests);
    return digests.failure;
  };
  for (const auto& [row, layer] : llama::all_tensors(weights.layers.size())) {
    TRY(look(row->in(weights, layer)));
  }
  return look(weights.rotated_gain);
}

std::vector<lint::Finding> findings(const std::vector<passes::Package>& packages,
                                    const Report& report, float hidden) {
  lint::Subject subject;
  subject.hidden = hidden;
  subject.read_constants = false;
  for (size_t i = 0; i < packages.size(); ++i) {
    subject.packages.push_back(
        {fmt::format("package {}", i), &packages[i].program, report.package_bytes[i]});
  }
  return lint::lint(subject);
}

}  // namespace

Result<Export> plan(const llama::Params& of_any_context, llama::LlamaWeights weights,
                    const Options& options, Progress& progress, Reading reading,
                    const card::ModelCard& card) {
  TRY(check(options));
  llama::Params params = llama::for_context(of_any_context, options.max_context_len);
  params.residual_scale = options.residual_scale.value_or(1);
  const llama::LlamaWeights original = weights;  // for other plans
  if (reading == Reading::Contents && !options.quantization.calibration.empty()) {
    // What can be refused is, before the long work.
    TRY(plan(params, weights, options, progress, Reading::HeadersOnly, card));
  }
  const llama::Rotations rotations = TRY(rotations_of(params, weights, options));
  const llama::PreparedWeights prepared =
      TRY(llama::prepare_rotated(params, std::move(weights), rotations, options.dtype));
  const std::vector<contract::Method> roles = methods_of(options);
  contract::Model model = llama::static_model(params, cache_length(options, roles), options.dtype);
  if (options.finite_mask) model.hidden = contract::kFiniteHidden;
  std::vector<NamedLinear> linears = TRY(choose_linears(prepared.tensors, options));
  DigestCache digests;
  digests.made_up = reading == Reading::HeadersOnly;
  const bool calibrated = reading == Reading::Contents && !options.quantization.calibration.empty();
  if (calibrated) TRY(look_at_weights(prepared.tensors, digests, progress));
  if (options.quantization.bits > 0 || options.quantization.target_bytes > 0) {
    // From headers alone all weights are alike: what is chosen then has about the right size.
    std::vector<double> sensitivity;
    for (const NamedLinear& linear : linears) {
      sensitivity.push_back(static_cast<double>(linear.weight->elements()));
    }
    const uint64_t budget = TRY(linear_budget(params, original, linears, options, card));
    if (calibrated) {
      sensitivity = TRY(sensitivities(params, prepared, linears, options.quantization.calibration,
                                      options.threads, progress));
    }
    raise_formats(sensitivity, options, budget, linears);
  }
  const HeadSharing head = head_sharing(prepared.tensors, linears.back(), options);
  const NamedLinear embedding{
      llama::tensor_row(&llama::LlamaWeights::tok_embeddings).name(llama::Dialect::Meta),
      prepared.tensors.tok_embeddings, embedding_choice(prepared.tensors, options)};
  if (reading == Reading::Contents) {
    TRY(check_kept(linears));
    TRY(check_kept({&embedding, 1}));
  }

  mil::Program program;
  std::vector<AssembledMethod> methods;
  const auto add_methods = [&](const std::vector<contract::Method>& of,
                               const llama::Adapter* adapter) -> Status {
    for (const contract::Method& method : of) {
      auto signature = TRY(contract::signature(model, method));
      methods.push_back({method, std::move(signature)});
      program.functions.push_back(
          TRY(llama::build(params, prepared,
                           {model, method, options.graph_breaks,
                            options.norm.value_or(llama::NormForm::Plain), adapter})));
    }
    return {};
  };
  TRY(add_methods(roles, nullptr));
  for (const llama::Adapter& adapter : prepared.tensors.adapters) {
    TRY(add_methods(adapted(roles, adapter.name), &adapter));
  }
  const auto quantized = std::make_shared<quant::Cache>();
  std::map<std::string, quant::OutputError> output_errors;
  if (reading == Reading::HeadersOnly) {
    stand_in(linears, *quantized);
  } else if (calibrated) {
    output_errors = TRY(calibrate(params, prepared, linears, options, *quantized, progress));
  }
  TRY(run_export_passes(program, options, linears, prepared.tensors.adapters, embedding.how,
                        head.shared, quantized));

  Export result;
  Report& report = result.report;
  report.head = head;
  const auto own = std::span(linears).first(linears.size() - (head.shared ? 1 : 0));
  report.notes = split_notes(own, options.split);
  for (std::string& note : group_notes(own, options)) report.notes.push_back(std::move(note));
  result.calibration_bytes = calibration_bytes(params, linears, options);
  if (!head.shared) linears.push_back(embedding);
  result.errors = [linears = std::move(linears), quantized, output_errors] {
    return tensor_errors(linears, *quantized, output_errors);
  };
  std::vector<passes::CutMethod> cuts;
  for (const auto& function : program.functions) {
    cuts.push_back(TRY(passes::cut_at_breaks(*function, {llama::leading_partition_inputs(), {}})));
    report.methods.push_back(function->name);
    for (const passes::Partition& partition : cuts.back().partitions) {
      report.partitions.push_back({function->name, partition.inputs.size(),
                                   partition.outputs.size(), partition.function->ops.size()});
    }
  }
  std::vector<passes::Package> packages = TRY(passes::merge_functions(cuts, options.sharing));
  for (const passes::Package& package : packages) {
    const passes::ConstantBytes bytes = passes::count_constant_bytes(package.program);
    report.constant_bytes += bytes.total;
    report.unique_bytes += bytes.unique;
    report.package_bytes.push_back(bytes.unique);
  }
  TRY(check_unshared(packages, methods, options));
  if (reading == Reading::HeadersOnly) report.findings = findings(packages, report, model.hidden);
  report.parameters = parameter_count(params);
  report.cache_bytes = cache_bytes(methods.front().signature);

  const std::vector<contract::RopeTables> tables =
      TRY(llama::rope_tables(params, options.max_context_len, options.dtype));
  progress.begin("reading weights", 0);
  pte::Program container =
      TRY(assemble(model, methods, cuts, std::move(packages),
                   contract::constant_methods(model, roles, tables), options, digests));
  TRY(std::move(digests.failure));
  card::ModelCard told = card;
  if (rotations.any()) told.rotation = llama::name(rotations);
  TRY(card::add_card(told, container));
  report.tokenizer_bytes = card.tokenizer.size();
  result.file = TRY(pte::write(std::move(container)));
  report.file_bytes = result.file->size();
  return result;
}

Result<Report> export_files(const std::string& checkpoint_path, const std::string& params_path,
                            const std::string& output, const Options& given, Progress& progress) {
  TRY(check(given));
  Options options = given;
  Model model = TRY(open_model(checkpoint_path, params_path, options));

  // Created first, so that an impossible path is refused before the work.
  auto file = TRY(AtomicFile::create(output));
  TRY(complete(checkpoint_path, progress, model, options));
  Export planned = TRY(plan(model.params, std::move(model.weights), options, progress,
                            Reading::Contents, model.card));
  planned.report.tensors = model.tensors;
  planned.report.notes.insert(planned.report.notes.begin(), model.notes.begin(), model.notes.end());
  progress.begin("writing", planned.file->size());
  ProgressSink sink(*file, progress);
  TRY(planned.file->write_to(sink));
  TRY(file->commit());
  progress.finish();
  planned.report.errors = planned.errors();
  return std::move(planned.report);
}

}  // namespace diptych::exporter
