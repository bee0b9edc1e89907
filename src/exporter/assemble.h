// Puts methods, their partitions and the packages together as an ExecuTorch program.
#pragma once

#include <vector>

#include "base/error.h"
#include "exporter/options.h"
#include "llama/metadata.h"
#include "passes/cut_at_breaks.h"
#include "passes/merge_functions.h"
#include "pte/program.h"

namespace diptych::exporter {

// One method to assemble: what it is, and how it was cut.
struct AssembledMethod {
  llama::MethodSpec spec;
  llama::MethodInterface interface;
};

// The program: each method with a delegate call per partition, whose values are numbered as in
// CutMethod, then the constant methods. `packages` are consumed; `digests` remembers what their ids
// follow from. Weights are produced on options.threads threads when the program is written.
Result<pte::Program> assemble(const std::vector<AssembledMethod>& methods,
                              const std::vector<passes::CutMethod>& cuts,
                              std::vector<passes::Package> packages,
                              const std::vector<llama::ConstantMethod>& metadata,
                              const Options& options, DigestCache& digests);

}  // namespace diptych::exporter
