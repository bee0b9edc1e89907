#include "passes/quantize_linears.h"

#include "passes/quantize_constants.h"

namespace diptych::passes {

Status quantize_linears(mil::Program& program, const Quantization& how) {
  return quantize_constants(program, how, "linear weight", [](const mil::Op& op) {
    return std::string_view(op.type == "linear" ? "weight" : "");
  });
}

}  // namespace diptych::passes
