#include "exporter/tensor_errors.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "tensor/slice_origin.h"

namespace diptych::exporter {

std::vector<TensorError> tensor_errors(const std::vector<NamedLinear>& tensors,
                                       const quant::Cache& quantized,
                                       const std::map<std::string, quant::OutputError>& outputs) {
  const auto entries = quantized.entries();
  std::vector<TensorError> errors;
  for (const NamedLinear& tensor : tensors) {
    if (!tensor.how) continue;
    // Pieces of a split linear have errors of their own, unless they are cut from a whole.
    std::set<const quant::ErrorMeter*> counted;
    quant::QuantizationError sum;
    for (const auto& entry : entries) {
      const WeightRef whole = slice_origin(*entry.source).source;
      if ((entry.source != tensor.weight && whole != tensor.weight) || entry.how != *tensor.how ||
          !counted.insert(entry.quantized.error.get()).second) {
        continue;
      }
      sum += entry.quantized.error->total();
    }
    TensorError error{tensor.tensor, *tensor.how, sum.relative(), sum.largest, std::nullopt};
    const auto output = outputs.find(tensor.tensor);
    if (output != outputs.end() && output->second.rounded > 0) {
      error.against_rounding = std::sqrt(output->second.chosen / output->second.rounded);
    }
    errors.push_back(std::move(error));
  }
  std::stable_sort(errors.begin(), errors.end(), [](const TensorError& a, const TensorError& b) {
    return a.relative > b.relative;
  });
  return errors;
}

}  // namespace diptych::exporter
