#include "passes/quantize_linears.h"

#include "passes/quantize_constants.h"
#include "tensor/slice_origin.h"

namespace diptych::passes {

Status quantize_linears(mil::Program& program, const std::optional<quant::Quantization>& how,
                        const LinearChoices& choices, quant::Cache& cache) {
  const auto how_of = [&](const Weight& weight) {
    auto chosen = choices.find(&weight);
    if (chosen == choices.end()) chosen = choices.find(slice_origin(weight).source.get());
    return chosen == choices.end() ? how : chosen->second;
  };
  return quantize_constants(
      program, how_of, "linear weight",
      [](const mil::Op& op) { return std::string_view(op.type == "linear" ? "weight" : ""); },
      cache);
}

}  // namespace diptych::passes
