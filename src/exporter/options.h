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
#include "llama/graph.h"
#include "llama/rotate.h"
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
  // Bits that a weight of the linears has on average: the most sensitive get more than the format
  // says. 0: none does.
  double bits = 0;
  // The same so that the whole .pte has at most so many bytes, which wins; 0: not said.
  uint64_t target_bytes = 0;
  // For gptq: the tokens of texts, each with its BOS, at least kLeastCalibration tokens in all.
  // None: a text of the project's own (exporter/sample_texts.h), as the model's tokenizer cuts it.
  std::vector<std::vector<int64_t>> calibration;
};
inline constexpr size_t kLeastCalibration = 256;

// A LoRA adapter: a directory, and the name of the methods that compute with it beside the model's
// weights ("forward__NAME"). Without a name it is merged into the weights of all methods.
struct AdapterSource {
  std::string name, directory;
};
inline constexpr size_t kMostAdapters = 64;

// Methods for prompts that a file may have.
inline constexpr size_t kMostPrefills = 16;

struct Options {
  std::string recipe;  // that these come from (exporter/recipe.h), for the file to say; or empty
  int64_t max_context_len = 1024;
  int64_t input_len = 32;    // of the single method, or of the pair's prefill
  DType dtype = DType::F16;  // F16 or F32
  std::optional<quant::Format> embedding = quant::Format{8, 0};  // none: unquantised
  std::optional<quant::Format> linear = quant::kC4w;             // none: unquantised
  // Linears whose width the groups of `linear` do not divide have one scale a row; else they are
  // refused.
  bool groups_where_they_fit = false;
  QuantizationOptions quantization;
  // A tied head is quantised as the embedding is and lies in the same package, so that they are
  // stored once: there are then no graph breaks with positional sharing.
  bool share_head = false;
  passes::SplitOptions split;  // target_size 0: no split
  bool graph_breaks = true;
  // Nothing: safe where the inputs of norms come near what the plain form can take.
  std::optional<llama::NormForm> norm = llama::NormForm::Plain;
  // Folded into the weights; nothing: what helps the model most (exporter/rotations.h).
  std::optional<llama::Rotations> rotations = llama::Rotations{};
  // What the stream between blocks is multiplied by (llama::Params::residual_scale); nothing: what
  // the safe form of norms needs in fp16, or 1 where norms are not looked at.
  std::optional<double> residual_scale;
  bool finite_mask = false;  // hidden columns get contract::kFiniteHidden in place of -inf
  // Methods for decoding and for prompts in place of a single one: upstream's pair, or the list
  // that the next two members make.
  bool multifunction = false;
  // Tokens of the methods for prompts; none: one of input_len. The first is named "prefill", as
  // upstream's runner calls it, others after their tokens ("prefill_512").
  std::vector<int64_t> prefill_lens;
  // Tokens of a method that gives the logits after each of them, to check drafts; nothing: none.
  std::optional<int64_t> verify_len;
  // The most bytes of weights that some methods may keep for themselves; more end the export.
  std::optional<uint64_t> max_unshared;
  passes::WeightSharing sharing = passes::WeightSharing::Positional;
  card::CardOptions card;
  std::vector<AdapterSource> adapters;
  int threads = 0;  // 0: ThreadPool::default_threads()
};

// Reads the format of embeddings: bits, comma and group size, such as "8,0" (group size 0: one
// scale per row), or "keep", the source's own. "" and "none" stand for no quantisation.
Result<std::optional<quant::Format>> embedding_from_text(std::string_view text);
// Reads the format of linears: "c4w" (4 bits, one scale per row), "c8w" (8 bits, one scale per
// row), "b4w", "b4w:64", "b4w:128" (4 bits, one scale per 32, 64 or 128 inputs), "keep" (the
// source's own) or "none".
Result<std::optional<quant::Format>> linear_from_text(std::string_view text);
// Reads "DIR", or "NAME=DIR" where the text begins with a name and an equals sign.
AdapterSource adapter_from_text(std::string_view text);
// Reads "PATTERN=FORMAT".
Result<LinearOverride> override_from_text(std::string_view text);

// Tokens of a piece of a calibration text: what attention costs grows with their square.
int64_t calibration_window(int64_t max_context_len);
// Refuses a calibration text that is too short.
Status check_calibration(const Options& options);

// Refuses combinations that are impossible for any model. Errors name the nearest valid value.
Status check(const Options& options);

}  // namespace diptych::exporter
