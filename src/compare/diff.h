// How two functions differ: by structure, by weights, and by what they compute.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "compare/part.h"
#include "compare/weights.h"

namespace diptych::compare {

struct DiffOptions {
  bool weights = true, numbers = true;
  engine::Numerics numerics_a = engine::Numerics::Precise, numerics_b = engine::Numerics::Precise;
  double tolerance = 1e-3;
};

// Weights of counterparts that are not the same.
struct WeightDifference {
  size_t a = 0;  // the node
  std::string name_a, name_b, form_a, form_b;
  uint64_t bytes_a = 0, bytes_b = 0;
  double relative = 0;
};

struct FunctionDiff {
  const Function* a = nullptr;
  const Function* b = nullptr;
  Alignment alignment;
  std::vector<WeightDifference> weights;  // in the order of a
  std::string not_run;                    // why numbers were not compared; or empty
  Parting parting;
  int64_t position = 0;  // of the token whose rows were compared

  // The first pair that parts although its own weights are the same and what it reads is not apart.
  std::optional<PairError> first_unexplained;
  // What an operation's weights explain: the relative difference of weights, 0 for the same.
  double explained(size_t node_a) const;
};

// The functions that are compared: those named, or else each role of A with the same of B, and what
// is left by name.
Result<std::vector<std::pair<const Function*, const Function*>>> pairs(
    const Subject& a, const std::string& function_a, const Subject& b,
    const std::string& function_b);

// Errors: Cancelled; what running fails with. Functions that cannot be run together are compared by
// structure alone, and `not_run` says why.
Result<FunctionDiff> diff(const Function& a, const Function& b, const DiffOptions& options,
                          ThreadPool& pool, Progress& progress);

}  // namespace diptych::compare
