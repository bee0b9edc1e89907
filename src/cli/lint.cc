// diptych lint: what is known to leave the Neural Engine, or to be slow or unsafe there.

#include "lint/lint.h"

#include <fmt/format.h>

#include <set>

#include "base/json.h"
#include "cli/command.h"
#include "cli/findings.h"
#include "cli/terminal.h"
#include "tools/lint_file.h"

namespace diptych::cli {

namespace {

struct LintArguments {
  std::string model;
  bool json = false, rules = false;
};

Json to_json(const lint::Rule& rule) {
  Json json = {
      {"rule", rule.id}, {"harm", name(rule.harm)}, {"says", rule.says}, {"source", rule.source}};
  if (const auto words = remedy_words(rule.remedy); !words.empty()) json["remedy"] = words;
  return json;
}

Json to_json(const std::vector<lint::Finding>& findings) {
  Json list = Json::array();
  for (const lint::Finding& finding : findings) {
    Json json = to_json(*finding.rule);
    if (!finding.place.empty()) json["place"] = printable(finding.place);
    json["first"] = printable(finding.first);
    if (finding.layer) json["layer"] = *finding.layer;
    json["count"] = finding.count;
    if (finding.bytes > 0) json["bytes"] = finding.bytes;
    json["detail"] = printable(finding.detail);
    list.push_back(std::move(json));
  }
  return list;
}

Status list_rules(bool as_json) {
  if (as_json) {
    Json list = Json::array();
    for (const lint::Rule* rule : lint::rules()) list.push_back(to_json(*rule));
    return write_results(dump_json(list, 2) + "\n");
  }
  Table table({"rule", "harm", "says", "source", "export with"});
  for (const lint::Rule* rule : lint::rules()) {
    table.add({std::string(rule->id), std::string(name(rule->harm)), std::string(rule->says),
               std::string(rule->source), std::string(remedy_words(rule->remedy))});
  }
  return write_results(table.text());
}

Status run_lint(const LintArguments& a) {
  if (a.rules) return list_rules(a.json);
  if (a.model.empty()) return usage_error("name the model to look at");
  const auto findings = TRY(tools::lint_file(a.model));
  if (a.json) return write_results(dump_json(to_json(findings), 2) + "\n");
  return write_results(findings_text(findings));
}

}  // namespace

Action setup_lint(Parser& parser) {
  auto arguments = std::make_shared<LintArguments>();
  LintArguments& a = *arguments;
  parser.add_option("model", a.model, "The .pte, .mlpackage or .mlmodel to look at");
  parser.add_flag("--json", a.json, "A JSON list instead of tables");
  parser.add_flag("--rules", a.rules, "List the rules and their sources");
  return [arguments] { return run_lint(*arguments); };
}

}  // namespace diptych::cli
