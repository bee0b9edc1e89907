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
#include "llama/params.h"
#include "llama/weights.h"

namespace diptych::exporter {

// What an export made, for people and machines.
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
  std::vector<std::string> notes;   // what the user should know, a line each
  std::vector<TensorError> errors;  // of the quantised tensors, the worst first; once written

  uint64_t shared_bytes() const { return constant_bytes - unique_bytes; }
};

struct Export {
  SourceRef file;  // weights are quantised while it is written; may be written more than once
  Report report;
  // Report::errors, of what was written so far.
  std::function<std::vector<TensorError>()> errors;
  uint64_t calibration_bytes = 0;  // of memory that a calibration takes; 0 without one
};

// Plans an export: builds the methods' graphs, runs the passes and lays out the file. All that can
// be refused is refused here; of the weights' contents only digests are taken (the ids of packages
// follow from them), told to `progress`.
//
// With HeadersOnly not even those are taken: the report is the same, but the file must not be
// written, for its ids are not those of its contents.
enum class Reading : uint8_t { Contents, HeadersOnly };
Result<Export> plan(const llama::Params& params, llama::LlamaWeights weights,
                    const Options& options, Progress& progress, Reading reading = Reading::Contents,
                    const card::ModelCard& card = {});

// Opens a model (open_model() says what `checkpoint` and `params` may be), plans, and writes
// `output` atomically.
Result<Report> export_files(const std::string& checkpoint, const std::string& params,
                            const std::string& output, const Options& options, Progress& progress);

}  // namespace diptych::exporter
