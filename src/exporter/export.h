// From a checkpoint to a .pte: plan everything from headers alone, then stream it to a file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "base/stream.h"
#include "card/model_card.h"
#include "exporter/options.h"
#include "exporter/tensor_errors.h"
#include "lint/lint.h"
#include "llama/params.h"
#include "llama/weights.h"

namespace diptych::exporter {

// What an export made.
struct Report {
  struct Partition {
    std::string method;
    size_t inputs = 0, outputs = 0, operations = 0;
  };
  std::vector<std::string> methods;
  std::vector<Partition> partitions;  // by method, then in execution order
  size_t tensors = 0;                 // of the checkpoint
  uint64_t parameters = 0;
  uint64_t constant_bytes = 0;  // of all functions, each on its own
  uint64_t unique_bytes = 0;    // stored
  uint64_t file_bytes = 0;
  std::vector<uint64_t> package_bytes;  // constants of each package (partition of all methods)
  uint64_t cache_bytes = 0;             // of the KV caches that a runner keeps between calls
  uint64_t tokenizer_bytes = 0;         // of the tokenizer's file, which the file carries
  HeadSharing head;
  std::vector<std::string> notes;  // what the user should know, a line each
  std::vector<lint::Finding> findings;  // of the planned packages; filled from headers alone
  std::vector<TensorError>
      errors;  // of the quantised tensors, the worst first; filled when written

  uint64_t shared_bytes() const { return constant_bytes - unique_bytes; }
};

struct Export {
  SourceRef file;  // weights are quantised while it is written; may be written more than once
  Report report;
  // Returns Report::errors of the tensors written so far.
  std::function<std::vector<TensorError>()> errors;
  uint64_t calibration_bytes = 0;  // memory that a calibration takes; 0 without one
};

// Plans an export: builds the methods' graphs, calibrates if the algorithm needs it, runs the
// passes and lays out the file. Whatever can be refused before the weights are read is refused
// before the calibration. The weights are read for their digests, from which the packages' ids
// follow, and those with values that are not finite or exceed the export's type are refused, before
// a calibration too. They are quantised when the file is written.
//
// With HeadersOnly no weight is read. The report is the same, but the file must not be written,
// because its ids do not follow from its contents.
enum class Reading : uint8_t { Contents, HeadersOnly };
Result<Export> plan(const llama::Params& params, llama::LlamaWeights weights,
                    const Options& options, Progress& progress, Reading reading = Reading::Contents,
                    const card::ModelCard& card = {});

// Opens a model (see open_model() for `checkpoint` and `params`), plans its export, and writes
// `output` atomically.
Result<Report> export_files(const std::string& checkpoint, const std::string& params,
                            const std::string& output, const Options& options, Progress& progress);

}  // namespace diptych::exporter
