// How far each quantised tensor of an export is from what it stands for.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "exporter/linear_choices.h"
#include "quant/cache.h"
#include "quant/gptq.h"

namespace diptych::exporter {

// What quantising did to one tensor.
struct TensorError {
  std::string tensor;
  quant::Quantization how;
  double relative = 0;  // root of sum (w - q)^2 over sum w^2
  // With gptq: of the outputs over the calibration, the root of their squared error over that of
  // round-to-nearest.
  std::optional<double> against_rounding;
};

// The errors of those of `tensors` that `quantized` holds and that were read, the worst first.
std::vector<TensorError> tensor_errors(const std::vector<NamedLinear>& tensors,
                                       const quant::Cache& quantized,
                                       const std::map<std::string, quant::OutputError>& outputs);

}  // namespace diptych::exporter
