// diptych export: checkpoint in, .pte out.

#include "exporter/export.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/hints.h"
#include "cli/quantization.h"
#include "cli/side_file.h"
#include "cli/terminal.h"
#include "exporter/forecast.h"

namespace diptych::cli {

namespace {

struct ExportArguments {
  std::string model, checkpoint, params, output = "model.pte";
  std::string dtype = "fp16", embedding = "8,0", linear = "c4w", sharing = "positional";
  exporter::Options options;
  QuantizationArguments quantization;
  bool no_graph_breaks = false, dry_run = false;

  const std::string& source() const { return model.empty() ? checkpoint : model; }
};

Result<exporter::Options> options_from(const ExportArguments& arguments) {
  exporter::Options options = arguments.options;
  options.dtype = arguments.dtype == "fp32" ? DType::F32 : DType::F16;
  options.embedding = TRY(
      as_usage(within("--embedding_quantize", exporter::embedding_from_text(arguments.embedding))));
  options.linear =
      TRY(as_usage(within("--linear_quantize", exporter::linear_from_text(arguments.linear))));
  if (arguments.source().empty()) {
    return usage_error("name the model to export: a directory, a GGUF or a .pth file");
  }
  if (!arguments.model.empty() && !arguments.checkpoint.empty()) {
    return usage_error("the model is named twice, as MODEL and with --checkpoint");
  }
  const std::string& tokenizer = options.card.tokenizer;
  options.quantization = TRY(quantization_from(arguments.quantization,
                                               tokenizer.empty() ? arguments.source() : tokenizer,
                                               options.max_context_len));
  options.graph_breaks = !arguments.no_graph_breaks;
  options.sharing = arguments.sharing == "disabled" ? passes::WeightSharing::Disabled
                                                    : passes::WeightSharing::Positional;
  TRY(as_usage(exporter::check(options)));
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

Status run_dry(const ExportArguments& arguments, const exporter::Options& options) {
  exporter::Model model =
      TRY(exporter::open_model(arguments.source(), arguments.params, options.card));
  const exporter::Forecast forecast = TRY(exporter::forecast(std::move(model), options));
  print_notes(forecast.report);
  print_partitions(forecast.report);
  Table totals = totals_of(forecast.report);
  totals.add({"peak memory, about", human_bytes(forecast.peak_memory_bytes)});
  fmt::print(stderr, "{}", totals.text());
  print_head(forecast.report.head);
  fmt::print(stderr, "\nNeural Engine, by rules of thumb:\n");
  if (forecast.neural_engine_warnings.empty()) fmt::print(stderr, "  nothing known against it\n");
  for (const std::string& warning : forecast.neural_engine_warnings) {
    tell("  {}", warning);
  }
  return write_results(fmt::format("{}\n", forecast.report.file_bytes));
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
  progress.finish();
  print_report(report, seconds_since(start));
  TRY(errors.write([&] { return errors_as_json(report.errors); }));
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
      .add_option("--max_context_len", a.options.max_context_len,
                  "Positions of prompt and answer together")
      ->show_default();
  parser
      .add_option("--input_len", a.options.input_len,
                  "Tokens per call (of prefill when multifunction)")
      ->show_default();
  parser.add_option("--dtype", a.dtype, "Element type; the Neural Engine wants fp16")
      ->check(one_of({"fp16", "fp32"}))
      ->show_default();
  parser
      .add_option("-E,--embedding_quantize", a.embedding,
                  "Embedding: bits,group (group 0: one scale per row), keep or none")
      ->show_default();
  parser
      .add_option(
          "--linear_quantize", a.linear,
          "Linears: c4w (4 bits, one scale per row), b4w (per 32 inputs), b4w:64, b4w:128,\n"
          "c8w (8 bits, one scale per row), keep (as a GGUF has them), or none")
      ->show_default();
  add_quantization_options(parser, a.quantization);
  parser
      .add_option("--target_split_size", a.options.split.target_size,
                  "Split linears into pieces of about this many outputs; 0 does not split")
      ->show_default();
  parser
      .add_option("--max_splits", a.options.split.max_splits, "At most so many pieces per linear")
      ->show_default();
  parser.add_flag("--no_graph_breaks", a.no_graph_breaks,
                  "One partition instead of embedding, layers and head");
  parser.add_flag("--multifunction", a.options.multifunction,
                  "Methods prefill (input_len tokens) and forward (one token) that share weights,\n"
                  "with logits of the last token; else one method with all logits, for lookahead");
  parser.add_option("--weight_sharing", a.sharing, "How methods share weights")
      ->check(one_of({"positional", "disabled"}))
      ->show_default();
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
  parser.add_flag("--dry_run", a.dry_run,
                  "Say what the export would give, from headers alone, and print the file's size");
  parser.add_option("--threads", a.options.threads, "Threads; 0: all CPUs of this process")
      ->check(integer_between(0, 1024))
      ->show_default();
  return [arguments] { return run_export(*arguments); };
}

}  // namespace diptych::cli
