#include "cli/quantization.h"

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "card/card_of_model.h"
#include "cli/byte_count.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "exporter/recipe.h"
#include "exporter/sample_texts.h"

namespace diptych::cli {

namespace {

constexpr size_t kWorst = 5;  // tensors shown

std::string percent(double fraction) { return fmt::format("{:.3f} %", 100 * fraction); }

// What was kept of the checkpoint's own quantisation, and how exactly.
void print_kept(const std::vector<exporter::TensorError>& errors) {
  size_t kept = 0, exact = 0;
  const exporter::TensorError* worst = nullptr;
  for (const exporter::TensorError& e : errors) {
    if (e.how.format.kind != quant::Kind::Kept) continue;
    ++kept;
    if (e.largest == 0) ++exact;
    if (worst == nullptr || e.largest > worst->largest) worst = &e;
  }
  if (worst == nullptr) return;
  const std::string difference =
      worst->largest == 0
          ? std::string("none differs")
          : fmt::format("the largest difference is {:.3g}, in {}", worst->largest, worst->tensor);
  tell("kept as the checkpoint has them: {} tensors, {} of them exactly; {}", kept, exact,
       difference);
}

}  // namespace

void add_quantization_options(Parser& parser, QuantizationArguments& a) {
  std::string known = "A choice of formats and algorithms; options beside it change its parts:\n";
  for (const exporter::Recipe& recipe : exporter::recipes()) {
    known += fmt::format("{}: {}\n", recipe.name, recipe.help);
  }
  known +=
      fmt::format("(default: {} for a MODEL, none with --checkpoint)", exporter::kDefaultRecipe);
  parser.add_option("--recipe", a.recipe, known);
  a.embedding_option = parser.add_option(
      "-E,--embedding_quantize", a.embedding,
      "Embedding: bits,group (group 0: one scale per row), a palette such as p8, keep\n"
      "(as a GGUF has it) or none (default: the recipe's, else 8,0)");
  a.linear_option = parser.add_option(
      "--linear_quantize", a.linear,
      "Linears: c4w (4 bits, one scale per row), b4w (per 32 inputs), b4w:64, b4w:128,\n"
      "c8w (8 bits, one scale per row), p4, p6, p8 (a palette), p4:32 (one for 32 rows; :8,\n"
      ":16), keep (as a GGUF has them), or none (default: the recipe's, else c4w)");
  a.algorithm_option = parser.add_option(
      "--quant_algorithm", a.algorithm,
      "How codes and scales are chosen: rtn (nearest; upstream's), mse (least squared\n"
      "error), gptq (least error of outputs over a text)\n"
      "(default: the recipe's, else rtn)");
  parser
      .add_option("--quantize_override", a.overrides,
                  "PATTERN=FORMAT, such as 'layers.0.*=c8w': another format for linears whose\n"
                  "tensors (Meta's names) the pattern fits; repeatable, the last that fits wins")
      ->one_value_each();
  parser.add_option("--calibration", a.calibration,
                    "Text like those that the model is for, some thousands of tokens, for gptq;\n"
                    "a line === parts texts (default: a text of diptych's own, of many kinds)");
  parser.add_option(
      "--target_size", a.target_size,
      "Bytes that the whole .pte may have at most, with K, M or G for thousands, millions\n"
      "or billions: formats are chosen by how sensitive each linear is");
  parser.add_option("--quant_report", a.report,
                    "File for the quantisation error of every tensor, as JSON");
}

Status set_quantization(const QuantizationArguments& a, exporter::Options& options) {
  if (!a.target_size.empty()) {
    if (!a.recipe.empty()) return usage_error("--recipe and --target-size: give one of them");
    exporter::apply(*TRY(exporter::recipe_from_name("small")), options);
  }
  if (!a.recipe.empty()) {
    exporter::apply(*TRY(as_usage(within("--recipe", exporter::recipe_from_name(a.recipe)))),
                    options);
  }
  if (a.embedding_option->count() > 0) {
    options.embedding =
        TRY(as_usage(within("--embedding_quantize", exporter::embedding_from_text(a.embedding))));
  }
  if (a.linear_option->count() > 0) {
    options.linear =
        TRY(as_usage(within("--linear_quantize", exporter::linear_from_text(a.linear))));
    options.groups_where_they_fit = false;  // what was asked for, or an error
    options.quantization.bits = 0;
  }
  if (a.algorithm_option->count() > 0) {
    options.quantization.algorithm =
        TRY(as_usage(within("--quant_algorithm", quant::algorithm_from_name(a.algorithm))));
  }
  if (!a.target_size.empty()) {
    options.recipe = "target-size";
    options.quantization.target_bytes =
        TRY(as_usage(within("--target_size", bytes_from(a.target_size, 1))));
  }
  for (const std::string& text : a.overrides) {
    options.quantization.overrides.push_back(
        TRY(as_usage(within("--quantize_override", exporter::override_from_text(text)))));
  }
  if (!a.calibration.empty() && !quant::needs_inputs(options.quantization.algorithm)) {
    return usage_error(fmt::format("--calibration is for --quant_algorithm gptq, found {}",
                                   quant::name(options.quantization.algorithm)));
  }
  return {};
}

Status read_calibration(const QuantizationArguments& a, const std::string& tokenizer_path,
                        exporter::Options& options) {
  if (a.calibration.empty()) return {};
  const std::string text = TRY(read_text_file(a.calibration, text::kMaxTextBytes));
  const auto tokenizer = TRY(card::open_tokenizer(tokenizer_path));
  options.quantization.calibration =
      TRY(within(a.calibration,
                 exporter::token_windows(text, *tokenizer,
                                         {exporter::calibration_window(options.max_context_len)})));
  return as_usage(exporter::check(options));
}

void print_errors(const std::vector<exporter::TensorError>& errors) {
  print_kept(errors);
  if (errors.empty()) return;
  Table table({"tensor", "format", "algorithm", "error", "of outputs, to rtn's"});
  for (size_t i = 0; i < std::min(errors.size(), kWorst); ++i) {
    const exporter::TensorError& e = errors[i];
    table.add({e.tensor, quant::to_string(e.how.format), std::string(quant::method(e.how)),
               percent(e.relative),
               e.against_rounding ? percent(*e.against_rounding) : std::string("-")});
  }
  fmt::print(stderr, "\nQuantisation errors, the worst first:\n{}", table.text());
  if (errors.size() > kWorst) {
    fmt::print(stderr, "and {} more (--quant-report lists all)\n", errors.size() - kWorst);
  }
}

std::string errors_as_json(const std::vector<exporter::TensorError>& errors) {
  Json tensors = Json::array();
  for (const exporter::TensorError& e : errors) {
    Json tensor = {{"tensor", e.tensor},
                   {"bits", e.how.format.bits},
                   {"group", e.how.format.group},
                   {"palette", e.how.format.kind == quant::Kind::Palette},
                   {"algorithm", quant::method(e.how)},
                   {"relative_error", e.relative}};
    if (e.how.format.kind == quant::Kind::Kept) tensor["largest_difference"] = e.largest;
    if (e.against_rounding) tensor["output_error_to_rtn"] = *e.against_rounding;
    tensors.push_back(std::move(tensor));
  }
  return dump_json({{"tensors", tensors}}, 2) + "\n";
}

}  // namespace diptych::cli
