// diptych export: checkpoint in, .pte out.

#include "exporter/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/human.h"
#include "base/json.h"
#include "check/export_check.h"
#include "cli/byte_count.h"
#include "cli/command.h"
#include "cli/findings.h"
#include "cli/hints.h"
#include "cli/quantization.h"
#include "cli/side_file.h"
#include "cli/terminal.h"
#include "cli/verification.h"
#include "exporter/complete.h"
#include "exporter/forecast.h"
#include "exporter/recipe.h"

namespace diptych::cli {

namespace {

constexpr std::pair<std::string_view, passes::WeightSharing> kSharings[] = {
    {"positional", passes::WeightSharing::Positional},
    {"all", passes::WeightSharing::OnePackage},
    {"disabled", passes::WeightSharing::Disabled},
};

struct ExportArguments {
  std::string model, checkpoint, params, output = "model.pte";
  std::string dtype = "fp16", sharing, max_unshared, norm, rotate, mask = "inf";
  exporter::Options options;
  std::vector<std::string> adapters;
  QuantizationArguments quantization;
  int64_t check_positions = 512;
  bool no_check = false, verify = false;
  bool no_graph_breaks = false, multifunction = false, single_method = false, dry_run = false;
  bool json = false;

  const std::string& source() const { return model.empty() ? checkpoint : model; }
};

Result<exporter::Options> options_from(const ExportArguments& arguments) {
  exporter::Options options = arguments.options;
  for (const std::string& adapter : arguments.adapters) {
    options.adapters.push_back(exporter::adapter_from_text(adapter));
  }
  options.dtype = arguments.dtype == "fp32" ? DType::F32 : DType::F16;
  options.finite_mask = arguments.mask == "finite";
  if (arguments.source().empty()) {
    return usage_error("name the model to export: a directory, a GGUF or a .pth file");
  }
  if (!arguments.model.empty() && !arguments.checkpoint.empty()) {
    return usage_error("the model is named twice, as MODEL and with --checkpoint");
  }
  QuantizationArguments quantization = arguments.quantization;
  if (quantization.recipe.empty() && quantization.target_size.empty() && !arguments.model.empty()) {
    quantization.recipe = exporter::kDefaultRecipe;
  }
  TRY(set_quantization(quantization, options));
  const bool by_recipe = !options.recipe.empty() && options.recipe != exporter::kUpstreamRecipe;
  if (arguments.norm == "auto" || (arguments.norm.empty() && by_recipe)) {
    options.norm = std::nullopt;
  } else if (arguments.norm == "safe") {
    options.norm = llama::NormForm::Safe;
  }
  if (arguments.rotate == "auto") {
    options.rotations.reset();
  } else if (!arguments.rotate.empty()) {
    options.rotations = TRY(llama::rotations_from_name(arguments.rotate));
  }
  options.multifunction = arguments.multifunction || !options.prefill_lens.empty() ||
                          options.verify_len || (by_recipe && !arguments.single_method);
  options.graph_breaks = !arguments.no_graph_breaks;
  for (const auto& [text, sharing] : kSharings) {
    if (arguments.sharing == text) options.sharing = sharing;
  }
  if (!arguments.max_unshared.empty()) {
    options.max_unshared =
        TRY(as_usage(within("--max_unshared", bytes_from(arguments.max_unshared, 0))));
  }
  TRY(as_usage(exporter::check(options)));
  const std::string& tokenizer = options.card.tokenizer;
  TRY(read_calibration(arguments.quantization, tokenizer.empty() ? arguments.source() : tokenizer,
                       options));
  return options;
}

void print_partitions(const exporter::Report& report) {
  Table partitions({"method", "partition", "inputs", "outputs", "operations"});
  std::string method;
  int index = 0;
  for (const auto& partition : report.partitions) {
    index = partition.method == method ? index + 1 : 0;
    method = partition.method;
    partitions.add({method, std::to_string(index), std::to_string(partition.inputs),
                    std::to_string(partition.outputs), std::to_string(partition.operations)});
  }
  fmt::print(stderr, "{}\n", partitions.text());
}

// The rows that an export and its forecast have in common.
Table totals_of(const exporter::Report& report) {
  Table totals({"quantity", "value"});
  totals.add(
      {"parameters", fmt::format("{:.1f} M in {} tensors",
                                 static_cast<double>(report.parameters) / 1e6, report.tensors)});
  totals.add({"constants of all functions", human_bytes(report.constant_bytes)});
  totals.add({"  shared between functions", human_bytes(report.shared_bytes())});
  totals.add({"  unique, stored once", human_bytes(report.unique_bytes)});
  totals.add({"file", human_bytes(report.file_bytes)});
  if (report.tokenizer_bytes > 0) {
    totals.add({"  of it the tokenizer", human_bytes(report.tokenizer_bytes)});
  }
  totals.add({"KV caches while running", human_bytes(report.cache_bytes)});
  return totals;
}

void print_notes(const exporter::Report& report) {
  for (const std::string& note : report.notes) {
    fmt::print(stderr, "diptych export: warning: {}\n", note);
  }
}

// Whether a tied head is stored once with the embedding.
void print_head(const exporter::HeadSharing& head) {
  if (!head.tied) return;
  if (head.shared) {
    tell("tied head: one quantised blob with the embedding, not split");
    return;
  }
  const std::string hint = hint_text(head.hint, "export");
  tell("tied head: stored apart from the embedding: {}{}", head.reason,
       hint.empty() ? "" : " (" + hint + ")");
}

void print_report(const exporter::Report& report, double seconds) {
  print_notes(report);
  print_partitions(report);
  Table totals = totals_of(report);
  totals.add({"time", human_seconds(seconds)});
  totals.add({"peak memory", human_bytes(peak_memory_bytes())});
  fmt::print(stderr, "{}", totals.text());
  print_head(report.head);
  print_errors(report.errors);
}

Json to_json(const exporter::Forecast& forecast, const exporter::Options& options) {
  const exporter::Report& report = forecast.report;
  return {{"file_bytes", report.file_bytes},
          {"peak_memory_bytes", forecast.peak_memory_bytes},
          {"cache_bytes", report.cache_bytes},
          {"constant_bytes", report.constant_bytes},
          {"unique_bytes", report.unique_bytes},
          {"tokenizer_bytes", report.tokenizer_bytes},
          {"parameters", report.parameters},
          {"max_context_len", options.max_context_len},
          {"methods", report.methods}};
}

Status run_dry(const ExportArguments& arguments, const exporter::Options& options) {
  exporter::Model model = TRY(exporter::open_model(arguments.source(), arguments.params, options));
  exporter::Options completed = options;
  TRY(exporter::complete_from_headers(arguments.source(), model, completed));
  const exporter::Forecast forecast = TRY(exporter::forecast(std::move(model), completed));
  print_notes(forecast.report);
  print_partitions(forecast.report);
  Table totals = totals_of(forecast.report);
  totals.add({"peak memory, about", human_bytes(forecast.peak_memory_bytes)});
  fmt::print(stderr, "{}", totals.text());
  print_head(forecast.report.head);
  fmt::print(stderr, "\nNeural Engine:\n{}", findings_text(forecast.report.findings));
  return write_results(arguments.json ? dump_json(to_json(forecast, options), 2) + "\n"
                                      : fmt::format("{}\n", forecast.report.file_bytes));
}

// Whether anything in the file is quantised, so that there is something to check.
bool is_quantised(const exporter::Options& options) {
  if (options.linear || options.embedding) return true;
  const auto& overrides = options.quantization.overrides;
  return std::any_of(overrides.begin(), overrides.end(),
                     [](const exporter::LinearOverride& row) { return row.format.has_value(); });
}

void print_check(const check::ExportCheck& check) {
  const evaluate::Evaluation& e = check.evaluation;
  const double kl = e.comparison->mean_kl;
  tell(
      "check on {} positions: perplexity {:.2f}, {:.2f} unquantised; KL {:.3f}; same top-1 {:.0f} "
      "%: {}{}",
      e.positions, e.model.perplexity(), e.reference->perplexity(), kl,
      100 * e.comparison->top1_agreement, check::verdict(kl),
      check::is_poor(kl) ? "; --recipe balanced or best helps" : "");
  if (check.overflows.count == 0) return;
  fmt::print(
      stderr,
      "diptych export: warning: in typed numerics, which round as the program says, {} results "
      "overflow fp16 in {} positions, first {} near {}; --norm safe helps\n",
      check.overflows.count, check.typed_positions, check.overflows.first_op,
      check.overflows.near_weight);
}

// Runs what was written; nothing when there is nothing to check.
std::optional<Result<check::ExportCheck>> run_check(const ExportArguments& arguments,
                                                    const exporter::Options& options,
                                                    Progress& progress) {
  if (arguments.no_check || !is_quantised(options)) return std::nullopt;
  const auto run = [&]() -> Result<check::ExportCheck> {
    auto source = TRY(exporter::open_model(arguments.source(), arguments.params, options));
    return check::check_export(std::move(source), arguments.output,
                               {options.dtype, arguments.check_positions, options.threads},
                               progress);
  };
  return run();
}

// Every check on what was written, beside what it was made from. The file stands.
Status verify_output(const ExportArguments& arguments, const exporter::Options& options,
                     std::optional<check::ExportCheck> compared) {
  verify::Options checks;
  checks.source = arguments.source();
  checks.params = arguments.params;
  checks.adapters = options.adapters;
  checks.compared = std::move(compared);
  checks.threads = options.threads;
  ProgressBar progress;
  const auto verification = TRY(verify::verify(arguments.output, checks, progress));
  progress.finish();
  fmt::print(stderr, "\n{}", verification_text(verification));
  return within<void>(arguments.output, failed_status(verification));
}

Status run_export(const ExportArguments& arguments) {
  const auto start = Clock::now();
  const exporter::Options options = TRY(options_from(arguments));
  if (arguments.dry_run) return run_dry(arguments, options);
  stop_on_interrupt();
  auto errors = TRY(SideFile::create(arguments.quantization.report));
  ProgressBar progress;
  const exporter::Report report = TRY(exporter::export_files(arguments.source(), arguments.params,
                                                             arguments.output, options, progress));
  const double seconds = seconds_since(start);
  TRY(errors.write([&] { return errors_as_json(report.errors); }));
  // The file stands whatever comes of this.
  const auto checked = run_check(arguments, options, progress);
  progress.finish();
  print_report(report, seconds);
  if (checked && *checked) {
    print_check(**checked);
  } else if (checked && checked->error().code == ErrorCode::Cancelled) {
    return tl::unexpected(checked->error());
  } else if (checked) {
    tell("not checked: {}", checked->error().to_string());
  }
  if (arguments.verify) {
    TRY(verify_output(arguments, options,
                      checked && *checked ? std::optional(**checked) : std::nullopt));
  }
  return write_results(arguments.output + "\n");
}

}  // namespace

Action setup_export(Parser& parser) {
  auto arguments = std::make_shared<ExportArguments>();
  ExportArguments& a = *arguments;
  parser.add_option("MODEL", a.model,
                    "A Hugging Face directory, a GGUF file, or a Meta directory or .pth file");
  parser.add_option("-c,--checkpoint", a.checkpoint, "The same, as upstream's exporter names it");
  parser.add_option("-p,--params", a.params,
                    "Meta's params.json (default: the one beside the checkpoint)");
  parser.add_option("-o,--output", a.output, "The .pte to write")->show_default();
  parser
      .add_option("--adapter", a.adapters,
                  "A LoRA adapter of Hugging Face's PEFT, by the directory that it was saved to:\n"
                  "DIR is merged into the weights; NAME=DIR becomes methods of its own\n"
                  "(forward__NAME) that share the model's weights, for run --adapter NAME")
      ->one_value_each();
  parser
      .add_option("--max_context_len", a.options.max_context_len,
                  "Positions of prompt and answer together")
      ->show_default();
  auto* input_len = parser
                        .add_option("--input_len", a.options.input_len,
                                    "Tokens per call (of prefill when multifunction)")
                        ->show_default();
  parser.add_option("--dtype", a.dtype, "Element type; the Neural Engine wants fp16")
      ->check(one_of({"fp16", "fp32"}))
      ->show_default();
  add_quantization_options(parser, a.quantization);
  parser
      .add_option("--target_split_size", a.options.split.target_size,
                  "Split linears into pieces of about this many outputs; 0 does not split")
      ->show_default();
  parser
      .add_option("--max_splits", a.options.split.max_splits, "At most so many pieces per linear")
      ->show_default();
  parser
      .add_option("--norm", a.norm,
                  "RMSNorm: plain, as upstream writes it, whose squares overflow in fp16 from\n"
                  "256 on; safe, the same mathematically, which fp16 computes for any row; or\n"
                  "auto: safe if a text brings the plain one near there (default: auto with a\n"
                  "recipe other than upstream, else plain)")
      ->check(one_of({"plain", "safe", "auto"}));
  parser
      .add_option("--rotate", a.rotate,
                  "Rotations folded into the weights, which change no result and leave less error\n"
                  "when quantised: of the values of each head (heads), of those between blocks\n"
                  "(stream), of both (all), none, or auto: the stream where the model allows it,\n"
                  "else heads (default: auto with --recipe small, else none)")
      ->check(one_of({"none", "heads", "stream", "all", "auto"}));
  parser
      .add_option("--mask", a.mask,
                  "What runners put where a token does not see: inf (-inf), or finite (-40000,\n"
                  "as Apple advises for the Neural Engine), which the file then says")
      ->check(one_of({"inf", "finite"}))
      ->show_default();
  parser.add_flag("--no_graph_breaks", a.no_graph_breaks,
                  "One partition instead of embedding, layers and head");
  auto* multifunction = parser.add_flag(
      "--multifunction", a.multifunction,
      "Methods prefill (input_len tokens) and forward (one token) that share weights,\n"
      "with logits of the last token (the default with a recipe other than upstream)");
  auto* prefill_len =
      parser
          .add_option(
              "--prefill_len", a.options.prefill_lens,
              "Multifunction with several methods for prompts, of so many tokens: 64,512\n"
              "(the first is prefill, as upstream's runner calls it, the second prefill_512)")
          ->split_at(',')
          ->one_value_each()
          ->excludes(input_len);
  auto* verify_len = parser.add_option(
      "--verify_len", a.options.verify_len,
      "Multifunction with a method verify of so many tokens and the logits after\n"
      "each, to check drafts (run --lookahead, --prompt_lookup, --draft)");
  parser
      .add_flag("--single_method", a.single_method,
                "One method with all logits, for lookahead (the default without a recipe)")
      ->excludes(multifunction)
      ->excludes(prefill_len)
      ->excludes(verify_len);
  parser
      .add_option(
          "--weight_sharing", a.sharing,
          "Which partitions share weights: positional (the first of all methods, the\n"
          "second of all, ...; the default), all (in one package, which Apple's runtime of\n"
          "ExecuTorch takes with --no_graph_breaks only), or disabled")
      ->check(one_of({"positional", "all", "disabled"}));
  parser.add_option("--max_unshared", a.max_unshared,
                    "Fail if methods keep more than so many bytes of weights for themselves, with\n"
                    "K, M or G for thousands, millions or billions");
  auto* tokenizer =
      parser.add_option("-t,--tokenizer", a.options.card.tokenizer,
                        "The tokenizer to carry, and of the calibration text: a file, a model's\n"
                        "directory, a GGUF or a .pte (default: the model's own, if there is one)");
  parser
      .add_flag("--no_tokenizer", a.options.card.no_tokenizer,
                "Leave the tokenizer out of the file")
      ->excludes(tokenizer);
  parser.add_option("--name", a.options.card.name,
                    "The model's name for get_model_name (default: as the model says)");
  auto* positions =
      parser
          .add_option("--check", a.check_positions,
                      "After a quantised export, run the file beside the unquantised source on so\n"
                      "many positions of a text of diptych's own and say how far they are apart")
          ->check(integer_between(1, 1'000'000))
          ->show_default();
  parser.add_flag("--no_check", a.no_check, "Leave that out")->excludes(positions);
  parser.add_flag(
      "--verify", a.verify,
      "Then run all checks of diptych verify on the file, beside its source; status 1 if\n"
      "one fails");
  auto* dry_run = parser.add_flag(
      "--dry_run", a.dry_run,
      "Say what the export would give, from headers alone, and print the file's size");
  parser.add_flag("--json", a.json, "With --dry_run: print sizes and memory as a JSON object")
      ->needs(dry_run);
  add_threads_option(parser, a.options.threads);
  return [arguments] { return run_export(*arguments); };
}

}  // namespace diptych::cli
