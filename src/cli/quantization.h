// The options of `diptych export` that say how weights are quantised, and the report of what that
// did to them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/parser.h"
#include "exporter/options.h"
#include "exporter/tensor_errors.h"

namespace diptych::cli {

struct QuantizationArguments {
  // Whether they were given; set by add_quantization_options().
  const Option *embedding_option = nullptr, *linear_option = nullptr, *algorithm_option = nullptr;
  std::string recipe, embedding, linear, algorithm, calibration, report, target_size;
  std::vector<std::string> overrides;
};

void add_quantization_options(Parser& parser, QuantizationArguments& arguments);

// Sets the options that say how weights are quantised: those of the recipe, if one is named, and
// then what is given besides.
Status set_quantization(const QuantizationArguments& arguments, exporter::Options& options);

// Puts the user's text for calibration, as the tokenizer of a path (card::open_tokenizer()) cuts
// it, into options that are set otherwise. Without a text nothing happens.
Status read_calibration(const QuantizationArguments& arguments, const std::string& tokenizer_path,
                        exporter::Options& options);

// The worst to stderr; nothing when there are none.
void print_errors(const std::vector<exporter::TensorError>& errors);

// All as JSON.
std::string errors_as_json(const std::vector<exporter::TensorError>& errors);

}  // namespace diptych::cli
