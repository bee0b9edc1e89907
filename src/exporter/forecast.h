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
  // As the export's own; the file's size is exact.
  Report report;
  // Resident memory of the exporting process at its height, pages of the mapped source included
  // (an estimate).
  uint64_t peak_memory_bytes = 0;
  // What is known to keep a partition, or operations of it, off the Neural Engine. Rules of thumb
  // that others measured, each with its source: Apple publishes no limits.
  std::vector<std::string> neural_engine_warnings;
};

// No tensor is read, except that an output matrix of its own is compared with the embedding as far
// as the two are equal. Refuses what an export would refuse, contents of tensors excepted.
Result<Forecast> forecast(Model model, const Options& options);

}  // namespace diptych::exporter
