#include <fmt/format.h>

#include "base/human.h"
#include "report/charts.h"
#include "report/document.h"
#include "report/svg.h"

namespace diptych::report {

namespace {

std::string methods(const Contents& contents) {
  std::vector<std::vector<std::string>> rows = {
      {"method", "inputs", "outputs", "partitions", "tokens", "logits"}};
  for (const auto& function : contents.subject.functions) {
    const contract::Function* contract = function->contract;
    rows.push_back({function->graph.name, std::to_string(function->function().inputs.size()),
                    std::to_string(function->function().outputs.size()),
                    std::to_string(function->graph.partitions),
                    contract == nullptr ? "-" : std::to_string(contract->method.tokens),
                    contract == nullptr           ? "-"
                    : contract->method.all_logits ? "of all tokens"
                                                  : "of one token"});
  }
  std::string out = table(rows);
  if (const contract::Description* model = contents.subject.model()) {
    out += fmt::format(
        "<p>{} layers, vocabulary of {}, {} heads of keys and values of {} channels, context of "
        "{}.</p>\n",
        model->layers(), model->vocab_size, model->kv_heads, model->head_dim, model->max_context);
  }
  return out;
}

std::string lint_table(const Contents& contents) {
  if (contents.lint.empty()) return "<p>Nothing known against it.</p>\n";
  std::vector<std::vector<std::string>> rows = {
      {"harm", "rule", "where", "first", "count", "says", "source"}};
  for (const lint::Finding& finding : contents.lint) {
    rows.push_back({std::string(name(finding.rule->harm)), std::string(finding.rule->id),
                    finding.place.empty() ? "all" : finding.place,
                    fmt::format("{}: {}", finding.first, finding.detail),
                    std::to_string(finding.count), std::string(finding.rule->says),
                    std::string(finding.rule->source)});
  }
  return "<p>Rules of thumb, each with its source; nothing here has run on Apple hardware.</p>\n" +
         table(rows);
}

}  // namespace

std::string page(const Contents& contents) {
  Document document(contents.path, fmt::format("{} on disk, {} of weights.",
                                               human_bytes(contents.inspection.layout.file_size),
                                               human_bytes(contents.sharing.bytes)));
  document.section("Methods", methods(contents));
  if (contents.verification) {
    document.section("Verification", checks(*contents.verification));
    document.section("Quantisation errors", errors_by_layer(contents.verification->weights));
  }
  document.section("Bytes", bytes_by_tensor(contents));
  document.section("Sharing", sharing_between_functions(contents));
  document.section("Formats", formats_by_layer(contents));
  document.section("Operations", operations(contents));
  std::string memory;
  for (const auto& function : contents.subject.functions) memory += memory_over_a_step(*function);
  document.section("Memory", memory);
  if (contents.decode) document.section("Time", roofline(*contents.decode));
  document.section("Neural Engine", lint_table(contents));
  return document.html();
}

std::string verification_page(const std::string& path, const verify::Verification& verification) {
  Document document(path, verification.failed() ? "A check failed." : "All checks passed.");
  document.section("Verification", checks(verification));
  document.section("Distance from the source", errors_by_layer(verification.weights));
  return document.html();
}

}  // namespace diptych::report
