#include "engine/padding.h"

#include "engine/kernels.h"

namespace diptych::engine {

Padding Padding::find(const mil::Function& function, const TokenAxes& axes) {
  Padding padding;
  if (axes.tokens() == 0) return padding;
  // From the end, so that the results of an operation are known before its operands.
  for (auto at = function.ops.rbegin(); at != function.ops.rend(); ++at) {
    const mil::Op& op = **at;
    const Kernel* kernel = find_kernel(op.type);
    // Another name of the same cells is read where that is.
    const bool renames = kernel != nullptr && kernel->lower == lower_reshape &&
                         axes.of(*op.result()) && !padding.matters(*op.result());
    if (renames) continue;
    for (const mil::Operand& operand : op.operands) {
      const bool skipped = kernel != nullptr && kernel->skips_padding != nullptr &&
                           kernel->skips_padding(op, operand.param, axes);
      if (!skipped) padding.matters_.insert(operand.values.begin(), operand.values.end());
    }
  }
  return padding;
}

StepRows rows_of(const mil::Value& x, const TokenAxes& axes) {
  const Shape& shape = x.type.shape;
  StepRows rows;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows.count *= shape[i];
  const TokenAxis axis = axes.of(x);
  rows.are_tokens = axis && *axis + 1 < shape.size() && shape[*axis] == rows.count;
  return rows;
}

bool skips_rows(const mil::Op& op, std::string_view /*param*/, const TokenAxes& axes) {
  return rows_of(*op.result(), axes).are_tokens;
}

bool attention_skips(const mil::Op& op, std::string_view param, const TokenAxes& axes) {
  const mil::Value& q = *op.operand("q");
  return (param == "q" || param == "mask") && axes.of(q) == q.type.shape.size() - 2;
}

bool rope_skips(const mil::Op& op, std::string_view /*param*/, const TokenAxes& axes) {
  const mil::Value& x = *op.operand("x");
  return axes.of(x) == x.type.shape.size() - 2;
}

bool transpose_skips(const mil::Op& op, std::string_view /*param*/, const TokenAxes& axes) {
  return axes.of(*op.operand("x")).has_value() && axes.of(*op.result()).has_value();
}

}  // namespace diptych::engine
