// Whether a file is what it is meant to be: a table of checks over its structure, what it says of
// itself and what it computes. docs/guide/verify.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "check/export_check.h"
#include "exporter/options.h"

namespace diptych::verify {

struct Options {
  // What the file was exported from; empty: nobody says. `params` and `adapters` as for an export.
  std::string source, params;
  std::vector<exporter::AdapterSource> adapters;
  std::optional<double> max_kl;  // between file and source; nothing: by the weights' bits
  int64_t positions = 256;       // of that comparison
  // That comparison, where it was made before.
  std::optional<check::ExportCheck> compared;
  std::string text;  // a file to take tokens from; empty: a text of the project's own
  // A .npz of inputs and expected outputs of a function; empty: none.
  std::string reference, function;
  double tolerance = 1e-2;  // of reference outputs, relative to their norm
  int threads = 0;
};

// Something that is wrong.
struct Finding {
  std::string place;  // "prefill, layer 3, mul 'x'"; empty: the file
  std::string what;
  std::optional<double> size;  // how far from right, relative
};

enum class Outcome : uint8_t { Passed, Failed, NotApplicable };
std::string_view name(Outcome outcome);

struct CheckResult {
  std::string_view check;  // "functions"
  std::string_view what;   // that it checks, a phrase
  Outcome outcome = Outcome::Passed;
  std::string note;  // why it does not apply, or what was measured
  std::vector<Finding> findings;
  double seconds = 0;
};

// How far a weight is from the source's, once both are dequantised.
struct WeightError {
  std::optional<size_t> layer;
  std::string name, form;  // "layers_3_attention_wq_weight", "int4 per row"
  double relative = 0;     // of the difference's norm to the source's
};

struct Verification {
  std::vector<CheckResult> checks;   // in the order of the table
  std::vector<WeightError> weights;  // that were compared with a source's, in the file's order

  bool failed() const;
};

// Runs all checks that apply. A file that cannot be read fails the first of them; errors are those
// of what is named beside it (source, text, reference), and Cancelled.
Result<Verification> verify(const std::string& path, const Options& options, Progress& progress);

}  // namespace diptych::verify
