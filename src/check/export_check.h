// What an export cost: the file that was written beside the source that it was made from, on a text
// that nothing was calibrated on.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/progress.h"
#include "engine/numerics.h"
#include "evaluate/evaluate.h"
#include "exporter/source.h"
#include "tensor/type.h"

namespace diptych::check {

struct ExportCheck {
  // The file in fast numerics, as it is run, against the source in fp32.
  evaluate::Evaluation evaluation;
  // The file in typed numerics, which round as the program says, on the first positions.
  engine::Overflows overflows;
  int64_t typed_positions = 0;
};

// A judgement in a few words, from the mean KL divergence: "close to the unquantised model". A poor
// one is to be told with what helps.
std::string_view verdict(double mean_kl);
bool is_poor(double mean_kl);

struct CheckOptions {
  DType dtype = DType::F16;  // of the export
  int64_t positions = 512;
  int64_t typed_positions =
      48;           // run in typed numerics, which are slow; what overflows does so at once
  int threads = 0;  // 0: all CPUs of this process
};

// Runs `file`, which was exported from `source`, and the source on the held-out sample
// (exporter/sample_texts.h). Errors: the file carries no tokenizer (NotFound); those of opening it;
// Cancelled.
Result<ExportCheck> check_export(exporter::Model source, const std::string& file,
                                 const CheckOptions& options, Progress& progress);

}  // namespace diptych::check
