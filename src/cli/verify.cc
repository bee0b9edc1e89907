// diptych verify: whether a file is what it is meant to be.

#include "verify/verify.h"

#include <fmt/format.h>

#include <cmath>

#include "base/json.h"
#include "cli/command.h"
#include "cli/side_file.h"
#include "cli/terminal.h"
#include "cli/verification.h"
#include "report/report.h"

namespace diptych::cli {

namespace {

struct VerifyArguments {
  std::string model;
  verify::Options options;
  std::vector<std::string> adapters;
  std::string html;
  bool json = false;
};

}  // namespace

Json to_json(const verify::Verification& verification) {
  Json checks = Json::array();
  for (const verify::CheckResult& check : verification.checks) {
    Json findings = Json::array();
    for (const verify::Finding& finding : check.findings) {
      Json row = {{"place", printable(finding.place)}, {"what", printable(finding.what)}};
      if (finding.size)
        row["size"] = std::isfinite(*finding.size) ? Json(*finding.size) : Json("inf");
      findings.push_back(std::move(row));
    }
    checks.push_back({{"check", check.check},
                      {"what", check.what},
                      {"outcome", name(check.outcome)},
                      {"note", printable(check.note)},
                      {"seconds", check.seconds},
                      {"findings", std::move(findings)}});
  }
  return {{"passed", !verification.failed()}, {"checks", std::move(checks)}};
}

std::string verification_text(const verify::Verification& verification) {
  Table table({"check", "outcome", "time", "what"});
  for (const verify::CheckResult& check : verification.checks) {
    const bool ran = check.outcome != verify::Outcome::NotApplicable;
    table.add({std::string(check.check), std::string(name(check.outcome)),
               ran ? human_seconds(check.seconds) : "-",
               check.note.empty() ? std::string(check.what) : one_line(check.note, 120)});
  }
  std::string text = table.text();
  for (const verify::CheckResult& check : verification.checks) {
    if (check.findings.empty()) continue;
    text += fmt::format("\n{}: {}, but\n", check.check, check.what);
    constexpr size_t kMost = 20;
    size_t told = 0;
    for (const verify::Finding& finding : check.findings) {
      if (told++ == kMost) {
        text += fmt::format("  and {} more\n", check.findings.size() - kMost);
        break;
      }
      text += "  " +
              one_line(finding.place.empty() ? finding.what
                                             : fmt::format("{}: {}", finding.place, finding.what)) +
              (finding.size ? fmt::format(" ({:.2g})", *finding.size) : "") + "\n";
    }
  }
  return text;
}

Status failed_status(const verify::Verification& verification) {
  size_t failed = 0;
  for (const verify::CheckResult& check : verification.checks) {
    failed += check.outcome == verify::Outcome::Failed ? 1 : 0;
  }
  if (failed == 0) return {};
  return invalid_data("{} of {} checks failed", failed, verification.checks.size());
}

Action setup_verify(Parser& parser) {
  auto arguments = std::make_shared<VerifyArguments>();
  VerifyArguments& a = *arguments;
  parser.add_option("model", a.model, "The .pte or Core ML model to verify")->required();
  auto* source = parser.add_option("--source", a.options.source,
                                   "What it was exported from: a directory, a GGUF or a .pth");
  parser.add_option("-p,--params", a.options.params, "Meta's params.json of the source")
      ->needs(source);
  parser.add_option("--adapter", a.adapters, "An adapter of the export: DIR, or NAME=DIR")
      ->one_value_each()
      ->needs(source);
  parser
      .add_option("--max_kl", a.options.max_kl,
                  "KL divergence from the source that passes (default: by the weights' bits)")
      ->check(number_between(0, 1e6))
      ->needs(source);
  parser
      .add_option("--positions", a.options.positions,
                  "Of the text that is compared with the source")
      ->check(integer_between(1, 1'000'000))
      ->show_default();
  parser.add_option("--text", a.options.text,
                    "Take the tokens that functions are run on from this file");
  auto* reference = parser.add_option("--reference", a.options.reference,
                                      "A .npz of inputs and expected outputs by name");
  parser.add_option("--function", a.options.function, "The function that they are of")
      ->needs(reference);
  parser
      .add_option("--tolerance", a.options.tolerance,
                  "Relative error of an output of the reference that passes")
      ->check(number_between(0, 1))
      ->show_default();
  parser.add_option("--html", a.html, "Also write the result as one page of HTML");
  parser.add_flag("--json", a.json, "One JSON object instead of tables");
  add_threads_option(parser, a.options.threads);
  return [arguments]() -> Status {
    stop_on_interrupt();
    for (const std::string& text : arguments->adapters) {
      arguments->options.adapters.push_back(exporter::adapter_from_text(text));
    }
    auto page = TRY(SideFile::create(arguments->html));
    ProgressBar progress;
    const auto verification = TRY(verify::verify(arguments->model, arguments->options, progress));
    progress.finish();
    TRY(page.write([&] { return report::verification_page(arguments->model, verification); }));
    TRY(write_results(arguments->json ? dump_json(to_json(verification), 2) + "\n"
                                      : verification_text(verification)));
    return within<void>(arguments->model, failed_status(verification));
  };
}

}  // namespace diptych::cli
