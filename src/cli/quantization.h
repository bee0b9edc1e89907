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
  std::string algorithm = "rtn", calibration, report;
  std::vector<std::string> overrides;
};

void add_quantization_options(Parser& parser, QuantizationArguments& arguments);

// Reads the calibration text, if any, with the tokenizer of a path (card::open_tokenizer()); its pieces
// are at most as long as the model's context.
Result<exporter::QuantizationOptions> quantization_from(const QuantizationArguments& arguments,
                                                        const std::string& tokenizer_path,
                                                        int64_t max_context_len);

// The worst to stderr; nothing when there are none.
void print_errors(const std::vector<exporter::TensorError>& errors);

// All as JSON.
std::string errors_as_json(const std::vector<exporter::TensorError>& errors);

}  // namespace diptych::cli
