// Assembles methods, their partitions and the packages into an ExecuTorch program.
#pragma once

#include <vector>

#include "base/error.h"
#include "contract/constants.h"
#include "contract/signature.h"
#include "exporter/options.h"
#include "passes/cut_at_breaks.h"
#include "passes/merge_functions.h"
#include "pte/program.h"

namespace diptych::exporter {

// One method to assemble: what it is, and how it was cut.
struct AssembledMethod {
  contract::Method method;
  contract::Signature signature;
};

// Returns the program: each method has a delegate call for each partition and numbers its values as
// CutMethod does; the constant methods come last. `packages` are consumed. `digests` remembers the
// digests of weights, from which the packages' ids follow. Weights are produced on options.threads
// threads when the program is written.
Result<pte::Program> assemble(const contract::Model& model,
                              const std::vector<AssembledMethod>& methods,
                              const std::vector<passes::CutMethod>& cuts,
                              std::vector<passes::Package> packages,
                              const std::vector<contract::ConstantMethod>& constants,
                              const Options& options, DigestCache& digests);

}  // namespace diptych::exporter
