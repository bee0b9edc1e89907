// The options of an export. Names and defaults are upstream's:
// examples/apple/coreml/llama/export_static_llm_coreml.py.
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

// Gives linears whose tensors fit a pattern a format of their own: "layers.0.*=c8w".
struct LinearOverride {
  std::string pattern;                  // of Meta's names; * stands for any characters, ? for one
  std::optional<quant::Format> format;  // none: unquantised
};

// How weights are quantised beyond their formats.
struct QuantizationOptions {
  // Of the linears and of the embedding. The embedding has no inputs to calibrate with, so mse
  // takes the place of gptq there.
  quant::Algorithm algorithm = quant::Algorithm::Rtn;
  std::vector<LinearOverride> overrides;  // the last that fits wins
  // For gptq: the tokens of texts, each with its BOS, at least kLeastCalibration tokens in all.
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
  // With multifunction: the number of tokens of a third method, which gives the logits after each
  // of them to check drafts; 0 for no such method.
  int64_t verify_len = 0;
  passes::WeightSharing sharing = passes::WeightSharing::Positional;
  card::CardOptions card;
  int threads = 0;  // 0: ThreadPool::default_threads()
};

// Reads the format of embeddings: bits, comma and group size, such as "8,0" (group size 0: one
// scale per row), or "keep", the source's own. "" and "none" stand for no quantisation.
Result<std::optional<quant::Format>> embedding_from_text(std::string_view text);
// Reads the format of linears: "c4w" (4 bits, one scale per row), "c8w" (8 bits, one scale per
// row), "b4w", "b4w:64", "b4w:128" (4 bits, one scale per 32, 64 or 128 inputs), "keep" (the
// source's own) or "none".
Result<std::optional<quant::Format>> linear_from_text(std::string_view text);
// Reads "PATTERN=FORMAT".
Result<LinearOverride> override_from_text(std::string_view text);

// Refuses combinations that are impossible for any model. Errors name the nearest valid value.
Status check(const Options& options);

}  // namespace diptych::exporter
