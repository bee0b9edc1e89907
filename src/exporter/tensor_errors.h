// How far each quantised tensor of an export is from the original.
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
  double relative = 0;  // sqrt(sum (w - q)^2 / sum w^2)
  double largest = 0;   // max |w - q| of a tensor that is kept as it was quantised
  // With gptq: the root of the outputs' squared error over the calibration, divided by that of
  // round-to-nearest.
  std::optional<double> against_rounding;
};

// The errors of the quantised ones of `tensors`, the worst first, as far as `quantized` has been
// read.
std::vector<TensorError> tensor_errors(const std::vector<NamedLinear>& tensors,
                                       const quant::Cache& quantized,
                                       const std::map<std::string, quant::OutputError>& outputs);

}  // namespace diptych::exporter
