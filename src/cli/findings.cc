#include "cli/findings.h"

#include <fmt/format.h>

#include <set>

#include "cli/terminal.h"

namespace diptych::cli {

std::string_view remedy_words(lint::Remedy remedy) {
  switch (remedy) {
    case lint::Remedy::None:
      return "";
    case lint::Remedy::HalfPrecision:
      return "--dtype fp16";
    case lint::Remedy::FiniteMask:
      return "--mask finite";
    case lint::Remedy::SafeNorm:
      return "--norm safe";
    case lint::Remedy::SplitLinears:
      return "--target_split_size, --max_splits";
    case lint::Remedy::ShorterInput:
      return "a smaller --input_len or --prefill_len";
    case lint::Remedy::GraphBreaks:
      return "no --no_graph_breaks";
    case lint::Remedy::SeveralMethods:
      return "--multifunction";
    case lint::Remedy::FewerBits:
      return "--recipe small";
    case lint::Remedy::WholeRowFormats:
      return "--linear_quantize c4w";
  }
  return "";
}

std::string findings_text(const std::vector<lint::Finding>& findings) {
  if (findings.empty()) return "nothing known against it\n";
  Table table({"harm", "rule", "where", "first", "layer", "count", "bytes", "export with"});
  std::set<const lint::Rule*> broken;
  for (const lint::Finding& finding : findings) {
    const lint::Rule& rule = *finding.rule;
    table.add({std::string(name(rule.harm)), std::string(rule.id),
               finding.place.empty() ? "all" : finding.place,
               fmt::format("{}: {}", finding.first, finding.detail),
               finding.layer ? std::to_string(*finding.layer) : "-", std::to_string(finding.count),
               finding.bytes > 0 ? std::to_string(finding.bytes) : "-",
               std::string(remedy_words(rule.remedy))});
    broken.insert(&rule);
  }
  std::string text = table.text();
  text += "\nRules of thumb, each with its source:\n";
  for (const lint::Rule* rule : lint::rules()) {
    if (broken.count(rule) == 0) continue;
    text += fmt::format("  {:<15}  {} ({})\n", rule->id, rule->says, rule->source);
  }
  return text;
}

}  // namespace diptych::cli
