// What an export is asked to do, in upstream's terms.
// Source: examples/apple/coreml/llama/export_static_llm_coreml.py, whose names and defaults these
// are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "card/card_of_model.h"
#include "passes/merge_functions.h"
#include "passes/split_linears.h"
#include "quant/algorithm.h"
#include "quant/format.h"
#include "tensor/type.h"

namespace diptych::exporter {

// "layers.0.*=c8w": the linears whose tensors a pattern fits get a format of their own.
struct LinearOverride {
  std::string pattern;                  // of Meta's names; * stands for any characters, ? for one
  std::optional<quant::Format> format;  // none: unquantised
};

// How weights are quantised beyond their formats.
struct QuantizationOptions {
  // Of linears; of the embedding too, which has no inputs to calibrate with: gptq makes it mse.
  quant::Algorithm algorithm = quant::Algorithm::Rtn;
  std::vector<LinearOverride> overrides;  // the last that fits wins
  // For gptq: texts as tokens, each with its BOS, at least kLeastCalibration tokens in all.
  std::vector<std::vector<int64_t>> calibration;
};
inline constexpr size_t kLeastCalibration = 256;

struct Options {
  int64_t max_context_len = 1024;
  int64_t input_len = 32;
  DType dtype = DType::F16;                                      // F16 or F32
  std::optional<quant::Format> embedding = quant::Format{8, 0};  // none: unquantised
  std::optional<quant::Format> linear = quant::kC4w;             // none: unquantised
  QuantizationOptions quantization;
  passes::SplitOptions split;  // target_size 0: no split
  bool graph_breaks = true;
  bool multifunction = false;
  // With multifunction: a third method that gives the logits after each of so many tokens, to check
  // drafts; 0: none.
  int64_t verify_len = 0;
  passes::WeightSharing sharing = passes::WeightSharing::Positional;
  card::CardOptions card;
  int threads = 0;  // that quantise; 0: ThreadPool::default_threads()
};

// "8,0" and the like: bits, comma, group size (0: one scale per row); "" or "none": no
// quantisation.
Result<std::optional<quant::Format>> embedding_from_text(std::string_view text);
// "c4w", "c8w", "b4w" (groups of 32), "b4w:64", "b4w:128" or "none".
Result<std::optional<quant::Format>> linear_from_text(std::string_view text);
// "PATTERN=FORMAT".
Result<LinearOverride> override_from_text(std::string_view text);

// Combinations that are impossible whatever the model; names the nearest valid value.
Status check(const Options& options);

}  // namespace diptych::exporter
