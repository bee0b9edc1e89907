#include "passes/quantize_constants.h"

#include <numeric>
#include <set>
#include <unordered_map>

namespace diptych::passes {

namespace {

bool is_float_matrix(const mil::Value* value) {
  return value && value->is_constant() && value->weight && value->type.rank() == 2 &&
         (value->type.dtype == DType::F16 || value->type.dtype == DType::F32);
}

// The value that `param_of` picks in an operation, when it is a constant float matrix.
mil::Value* quantizable(const mil::Op& op, QuantizableParam param_of) {
  const std::string_view param = param_of(op);
  mil::Value* value = param.empty() ? nullptr : op.operand(param);
  return is_float_matrix(value) ? value : nullptr;
}

Status check_groups(const mil::Program& program, const QuantizationOf& how_of,
                    std::string_view what, QuantizableParam param_of) {
  std::set<std::string> refused;  // once, though several functions hold the weight
  int64_t divisor = 0;            // of all sizes that groups must divide
  quant::Format format;           // the first whose group does not
  for (const auto& function : program.functions) {
    for (const auto& op : function->ops) {
      const mil::Value* weight = quantizable(*op, param_of);
      if (!weight) continue;
      const auto how = how_of(*weight->weight);
      if (!how) continue;
      TRY(check(how->format));
      if (how->format.group == 0 || how->format.kind == quant::Kind::Kept) continue;
      const int64_t size = weight->type.shape[quant::grouped(how->format).axis];
      divisor = std::gcd(divisor, size);
      if (size % how->format.group == 0) continue;
      if (format.group == 0) format = how->format;
      refused.insert(fmt::format("{} {}", weight->name, diptych::to_string(weight->type)));
    }
  }
  if (refused.empty()) return {};
  const quant::Grouped of = quant::grouped(format);
  const int64_t nearest = quant::nearest_group(format, divisor);
  const std::string remedy =
      fmt::format("is not a multiple of the group {}; the nearest valid group is {}", format.group,
                  nearest == 0 ? fmt::format("0 ({})", of.all) : fmt::format("{}", nearest));
  if (refused.size() == 1) {
    return invalid_argument("{} {}: its {} {}", what, *refused.begin(), of.name, remedy);
  }
  Error error{ErrorCode::InvalidArgument, {}, {}, {}};
  error.message = fmt::format("{} {}s have a {} that {}", refused.size(), what, of.name, remedy);
  error.items.assign(refused.begin(), refused.end());
  return tl::unexpected(std::move(error));
}

// Inserts the operation that a quantised weight stands for, before operation `at`.
mil::Value* insert_dequantized(mil::Function& function, size_t at, const mil::Value& weight,
                               const quant::QuantizedWeight& quantized) {
  const std::string& name = weight.name;
  mil::Value* codes = function.add_constant(name + "_codes", quantized.codes);
  std::vector<std::pair<std::string, TensorType>> result{{name + "_dequantized", weight.type}};
  if (quantized.table) {
    mil::Value* lut = function.add_constant(name + "_lut", quantized.table);
    return function
        .insert_op(at, "constexpr_lut_to_dense", {{"indices", {codes}}, {"lut", {lut}}},
                   std::move(result))
        ->result();
  }
  mil::Value* scale = function.add_constant(name + "_scale", quantized.scales);
  std::vector<mil::Operand> operands = {{"data", {codes}}, {"scale", {scale}}};
  if (quantized.offsets) {
    operands.push_back({"offset", {function.add_constant(name + "_offset", quantized.offsets)}});
  }
  return function
      .insert_op(at, "constexpr_blockwise_shift_scale", std::move(operands), std::move(result))
      ->result();
}

Status quantize_function(mil::Function& function, const QuantizationOf& how_of,
                         QuantizableParam param_of, quant::Cache& cache) {
  std::unordered_map<const mil::Value*, mil::Value*> replaced;
  for (size_t i = 0; i < function.ops.size(); ++i) {
    mil::Value* weight = quantizable(*function.ops[i], param_of);
    if (!weight) continue;
    const auto how = how_of(*weight->weight);
    if (!how) continue;
    mil::Value*& dequantized = replaced[weight];
    if (!dequantized) {
      const quant::QuantizedWeight quantized =
          TRY(cache.quantize(weight->weight, *how, weight->name));
      dequantized = insert_dequantized(function, i, *weight, quantized);
      ++i;
    }
    mil::Op& user = *function.ops[i];
    for (mil::Operand& operand : user.operands) {
      if (operand.param == param_of(user)) operand.values = {dequantized};
    }
  }
  function.remove_dead();
  return {};
}

}  // namespace

Status quantize_constants(mil::Program& program, const QuantizationOf& how, std::string_view what,
                          QuantizableParam param_of, quant::Cache& cache) {
  TRY(check_groups(program, how, what, param_of));
  for (const auto& function : program.functions) {
    TRY(quantize_function(*function, how, param_of, cache));
  }
  return {};
}

}  // namespace diptych::passes
