// A file as one page of HTML that needs nothing else: what is in it, who uses what, what it
// computes and what is known against it.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/progress.h"
#include "compare/diff.h"
#include "compare/metadata.h"
#include "compare/subject.h"
#include "lint/lint.h"
#include "measure/limits.h"
#include "measure/profile.h"
#include "tools/inspect.h"
#include "tools/sharing.h"
#include "verify/verify.h"

namespace diptych::report {

struct Options {
  bool profile = false, verify = false;
  std::string source;  // for the verification; or empty
  int threads = 0;
};

struct TimedStep {
  measure::Profile profile;
  double read_bytes_per_second = 0;  // of this machine
  double operations_per_second = 0;
};

struct Contents {
  std::string path;
  tools::Inspection inspection;
  tools::Sharing sharing;
  compare::Subject subject;
  std::vector<lint::Finding> lint;
  std::optional<verify::Verification> verification;
  std::optional<TimedStep> decode;  // of a language model
};

// Errors: those of opening the file; of running it, where a profile or verification is wanted.
Result<Contents> gather(const std::string& path, const Options& options, Progress& progress);
// One self-contained page: no script, nothing loaded from elsewhere.
std::string page(const Contents& contents);
// The same of checks alone, and of how two files differ.
std::string verification_page(const std::string& path, const verify::Verification& verification);
std::string diff_page(const std::string& a, const std::string& b,
                      const std::vector<compare::MetadataDifference>& metadata,
                      const std::vector<compare::FunctionDiff>& functions);

}  // namespace diptych::report
