#include "cli/quantization.h"

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "card/card_of_model.h"
#include "cli/command.h"
#include "cli/terminal.h"

namespace diptych::cli {

namespace {

constexpr size_t kWorst = 5;  // tensors shown
// Tokens of a piece of the calibration text: what attention costs grows with their square.
constexpr int64_t kLongestPiece = 512;
// A line of its own between texts that have nothing to do with one another.
constexpr std::string_view kSeparator = "\n===\n";

// The text in pieces, each with what the tokenizer puts before a text.
Result<std::vector<std::vector<int64_t>>> calibration_pieces(const std::string& text,
                                                             const text::Tokenizer& tokenizer,
                                                             int64_t longest) {
  std::vector<std::vector<int64_t>> pieces;
  const std::vector<text::TokenId>& prefix = tokenizer.prefix();
  const auto room = std::max<int64_t>(longest - static_cast<int64_t>(prefix.size()), 1);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(kSeparator, begin), text.size());
    const auto ids = TRY(tokenizer.encode(text.substr(begin, end - begin), false));
    for (size_t at = 0; at < ids.size(); at += static_cast<size_t>(room)) {
      const size_t stop = std::min(at + static_cast<size_t>(room), ids.size());
      std::vector<int64_t> piece(prefix.begin(), prefix.end());
      piece.insert(piece.end(), ids.begin() + static_cast<int64_t>(at),
                   ids.begin() + static_cast<int64_t>(stop));
      pieces.push_back(std::move(piece));
    }
    begin = end + kSeparator.size();
  }
  return pieces;
}

std::string percent(double fraction) { return fmt::format("{:.3f} %", 100 * fraction); }

// What was kept of the checkpoint's own quantisation, and how exactly.
void print_kept(const std::vector<exporter::TensorError>& errors) {
  size_t kept = 0, exact = 0;
  const exporter::TensorError* worst = nullptr;
  for (const exporter::TensorError& e : errors) {
    if (!e.how.format.kept) continue;
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
  parser
      .add_option("--quant_algorithm", a.algorithm,
                  "How codes and scales are chosen: rtn (nearest; upstream's), mse (least squared\n"
                  "error), hqq (half-quadratic), gptq (least error of outputs over --calibration)")
      ->show_default();
  parser
      .add_option("--quantize_override", a.overrides,
                  "PATTERN=FORMAT, such as 'layers.0.*=c8w': another format for linears whose\n"
                  "tensors (Meta's names) the pattern fits; repeatable, the last that fits wins")
      ->one_value_each();
  parser.add_option("--calibration", a.calibration,
                    "Text like those that the model is for, some thousands of tokens, for gptq;\n"
                    "a line === parts texts");
  parser.add_option("--quant_report", a.report,
                    "File for the quantisation error of every tensor, as JSON");
}

Result<exporter::QuantizationOptions> quantization_from(const QuantizationArguments& a,
                                                        const std::string& tokenizer_path,
                                                        int64_t max_context_len) {
  exporter::QuantizationOptions options;
  options.algorithm =
      TRY(as_usage(within("--quant_algorithm", quant::algorithm_from_name(a.algorithm))));
  for (const std::string& text : a.overrides) {
    options.overrides.push_back(
        TRY(as_usage(within("--quantize_override", exporter::override_from_text(text)))));
  }
  const bool wanted = quant::needs_inputs(options.algorithm);
  if (!wanted && !a.calibration.empty()) {
    return usage_error(
        fmt::format("--calibration is for --quant_algorithm gptq, found {}", a.algorithm));
  }
  if (!wanted || a.calibration.empty()) return options;
  const std::string text = TRY(read_text_file(a.calibration, text::kMaxTextBytes));
  const auto tokenizer = TRY(card::open_tokenizer(tokenizer_path));
  options.calibration =
      TRY(within(a.calibration,
                 calibration_pieces(text, *tokenizer, std::min(kLongestPiece, max_context_len))));
  return options;
}

void print_errors(const std::vector<exporter::TensorError>& errors) {
  print_kept(errors);
  if (errors.empty()) return;
  Table table({"tensor", "format", "algorithm", "error", "of outputs, to rtn's"});
  for (size_t i = 0; i < std::min(errors.size(), kWorst); ++i) {
    const exporter::TensorError& e = errors[i];
    table.add({e.tensor, quant::to_string(e.how.format), std::string(quant::method_name(e.how)),
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
                   {"algorithm", quant::method_name(e.how)},
                   {"relative_error", e.relative}};
    if (e.how.format.kept) tensor["largest_difference"] = e.largest;
    if (e.against_rounding) tensor["output_error_to_rtn"] = *e.against_rounding;
    tensors.push_back(std::move(tensor));
  }
  return dump_json({{"tensors", tensors}}, 2) + "\n";
}

}  // namespace diptych::cli
