#include "passes/quantize_embeddings.h"

#include "passes/quantize_constants.h"

namespace diptych::passes {

namespace {

std::string_view table_param(const mil::Op& op) {
  if (op.type != "gather") return "";
  const mil::Value* axis = op.operand("axis");
  const bool rows = !axis || mil::constant_int(*axis).value_or(-1) == 0;
  return rows ? "x" : "";
}

}  // namespace

Status quantize_embeddings(mil::Program& program, const quant::Quantization& how,
                           quant::Cache& cache) {
  const auto same = [&](const Weight&) { return std::optional(how); };
  return quantize_constants(program, same, "embedding table", table_param, cache);
}

}  // namespace diptych::passes
