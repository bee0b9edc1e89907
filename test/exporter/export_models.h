// Exports of ours that are told to be like upstream's golden files.
#pragma once

#include <string>

#include "base/error.h"
#include "exporter/export.h"
#include "golden_models.h"

namespace diptych::testing {

// Upstream's command line of a golden file as export options.
Result<exporter::Options> export_options(const GoldenModel& golden);

// Exports the golden checkpoint with the given options to a file of this test process and returns
// its path.
Result<std::string> export_like(const GoldenModel& golden, const exporter::Options& options,
                                const std::string& name);

}  // namespace diptych::testing
