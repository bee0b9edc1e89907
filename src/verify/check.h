// The table of checks, and what they look at. Private to src/verify.
//
// To add a check: a file check_<name>.cc with its function, a row in verify.cc, faults that it
// finds in test/verify/faults_test.cc, a line in docs/guide/verify.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "card/model_card.h"
#include "compare/subject.h"
#include "exporter/source.h"
#include "text/tokenizer.h"
#include "tools/inspect.h"
#include "verify/verify.h"

namespace diptych::verify {

// A file opened once for all checks.
struct Subject {
  std::string path;
  const Options* options = nullptr;
  tools::Inspection inspection;
  compare::Subject opened;  // in precise numerics
  card::ModelCard card;
  std::unique_ptr<text::Tokenizer> tokenizer;  // null: the file carries none
  std::optional<Error> tokenizer_error;        // why it cannot be opened
  std::optional<exporter::Model> source;
  std::vector<int64_t> tokens;  // of a language model: what it is run on
  bool tokens_are_text = false;
  std::unique_ptr<ThreadPool> pool;
  std::vector<WeightError> weights;  // as checks go along

  const contract::Description* model() const { return opened.model(); }
};

// Errors: what is named in the options and cannot be opened. A file that is broken itself gives the
// error as `broken`.
Result<std::unique_ptr<Subject>> open_subject(const std::string& path, const Options& options,
                                              std::optional<Error>& broken);

// What a check found, as it goes along.
class Report {
 public:
  explicit Report(CheckResult& result) : result_(result) {}

  void find(std::string place, std::string what, std::optional<double> size = {}) {
    result_.findings.push_back({std::move(place), std::move(what), size});
  }
  void note(std::string text) { result_.note = std::move(text); }
  void does_not_apply(std::string why) {
    result_.outcome = Outcome::NotApplicable;
    result_.note = std::move(why);
  }

 private:
  CheckResult& result_;
};

enum class Of : uint8_t { Any, LanguageModels };

struct Check {
  std::string_view name;
  Of of = Of::Any;  // the files that it applies to
  std::string_view what;
  // An error is a finding, but for Cancelled.
  Status (*run)(Subject& subject, Report& report, Progress& progress);
};

Status check_structure(Subject&, Report&, Progress&);
Status check_metadata(Subject&, Report&, Progress&);
Status check_positions(Subject&, Report&, Progress&);
Status check_tokenizer(Subject&, Report&, Progress&);
Status check_ends(Subject&, Report&, Progress&);
Status check_layers(Subject&, Report&, Progress&);
Status check_functions(Subject&, Report&, Progress&);
Status check_typed(Subject&, Report&, Progress&);
Status check_sharing(Subject&, Report&, Progress&);
Status check_source(Subject&, Report&, Progress&);
Status check_source_text(Subject&, Report&, Progress&);
Status check_reference(Subject&, Report&, Progress&);

// "a language model says nothing here": what checks of language models note elsewhere.
inline constexpr std::string_view kNoLanguageModel = "not a language model";

}  // namespace diptych::verify
