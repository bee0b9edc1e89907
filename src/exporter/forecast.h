// What an export would give, from headers alone: `diptych export --dry-run`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "exporter/export.h"
#include "exporter/source.h"

namespace diptych::exporter {

struct Forecast {
  // The report that the export would give; the file's size is exact. Report::findings are what is
  // likely to keep operations off the Neural Engine, or slow or unsafe there.
  Report report;
  // An estimate of the exporting process's largest resident memory, pages of the mapped source
  // included.
  uint64_t peak_memory_bytes = 0;
};

// Returns the forecast. No tensor is read, except that a head of its own is compared with the
// embedding up to the first difference. Errors: those of an export, except for what the contents of
// tensors cause.
Result<Forecast> forecast(Model model, const Options& options);

}  // namespace diptych::exporter
