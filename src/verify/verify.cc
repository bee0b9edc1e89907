#include "verify/verify.h"

#include <algorithm>

#include "base/clock.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

constexpr Check kChecks[] = {
    {"structure", Of::Any,
     "packages, methods and functions are whole, as the strictest loaders want them",
     check_structure},
    {"metadata", Of::Any, "what the file says of its methods is what their signatures say",
     check_metadata},
    {"positions", Of::LanguageModels,
     "the position tables turn by one step a position, from none at the first", check_positions},
    {"tokenizer", Of::Any, "texts come back from their tokens, which the model knows",
     check_tokenizer},
    {"ends", Of::LanguageModels, "the ids that begin and end an answer are such tokens",
     check_ends},
    {"layers", Of::LanguageModels, "layers of one kind are built alike", check_layers},
    {"functions", Of::LanguageModels,
     "the same tokens give the same through every function, cached or not", check_functions},
    {"typed", Of::LanguageModels,
     "nothing overflows, vanishes or is NaN when rounded as the types say", check_typed},
    {"sharing", Of::Any, "no weight is stored twice where functions could share it", check_sharing},
    {"source", Of::LanguageModels, "operations and weights are those of the source", check_source},
    {"source text", Of::LanguageModels, "predictions are close to the source's", check_source_text},
    {"reference", Of::Any, "outputs are those of the reference", check_reference},
};

}  // namespace

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::Passed:
      return "passed";
    case Outcome::Failed:
      return "failed";
    case Outcome::NotApplicable:
      return "n/a";
  }
  return "";
}

bool Verification::failed() const {
  return std::any_of(checks.begin(), checks.end(),
                     [](const CheckResult& check) { return check.outcome == Outcome::Failed; });
}

Result<Verification> verify(const std::string& path, const Options& options, Progress& progress) {
  std::optional<Error> broken;
  const auto subject = TRY(open_subject(path, options, broken));
  Verification result;
  for (const Check& check : kChecks) {
    CheckResult& row = result.checks.emplace_back();
    row.check = check.name;
    row.what = check.what;
    Report report(row);
    if (broken) {
      if (result.checks.size() == 1) {
        report.find("", broken->to_string());
        row.outcome = Outcome::Failed;
      } else {
        report.does_not_apply("the file cannot be read");
      }
      continue;
    }
    if (check.of == Of::LanguageModels && subject->model() == nullptr) {
      report.does_not_apply(std::string(kNoLanguageModel));
      continue;
    }
    const auto start = Clock::now();
    const Status status = check.run(*subject, report, progress);
    row.seconds = seconds_since(start);
    if (!status) {
      if (status.error().code == ErrorCode::Cancelled) return tl::unexpected(status.error());
      report.find(status.error().context, status.error().message);
    }
    if (!row.findings.empty()) row.outcome = Outcome::Failed;
  }
  result.weights = std::move(subject->weights);
  progress.finish();
  return result;
}

}  // namespace diptych::verify
