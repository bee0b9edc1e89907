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

// The nearest group that divides all the widths, for an error.
std::string nearest_choice(int64_t group, int64_t divisor) {
  const int64_t nearest = quant::nearest_group(group, divisor);
  return nearest == 0 ? "0 (one scale per row)" : fmt::format("{}", nearest);
}

Status check_widths(const mil::Program& program, const QuantizationOf& how_of,
                    std::string_view what, QuantizableParam param_of) {
  std::set<std::string> refused;   // once, though several functions hold the weight
  int64_t divisor = 0, group = 0;  // of all widths that a group must divide; the first group that
                                   // does not
  for (const auto& function : program.functions) {
    for (const auto& op : function->ops) {
      const mil::Value* weight = quantizable(*op, param_of);
      if (!weight) continue;
      const auto how = how_of(*weight->weight);
      if (!how) continue;
      TRY(check(how->format));
      const int64_t wanted = how->format.group;
      if (wanted == 0 || how->format.kept) continue;
      divisor = std::gcd(divisor, weight->type.shape[1]);
      if (weight->type.shape[1] % wanted == 0) continue;
      if (group == 0) group = wanted;
      refused.insert(fmt::format("{} {}", weight->name, diptych::to_string(weight->type)));
    }
  }
  if (refused.empty()) return {};
  Error error{ErrorCode::InvalidArgument, {}, {}, {}};
  if (refused.size() == 1) {
    error.message = fmt::format(
        "{} {}: its width is not a multiple of the group {}; the nearest valid group is {}", what,
        *refused.begin(), group, nearest_choice(group, divisor));
  } else {
    error.message = fmt::format(
        "{} {}s have a width that is not a multiple of the group {}; the nearest valid group is {}",
        refused.size(), what, group, nearest_choice(group, divisor));
    error.items.assign(refused.begin(), refused.end());
  }
  return tl::unexpected(std::move(error));
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
      mil::Value* data = function.add_constant(weight->name + "_codes", quantized.codes);
      mil::Value* scale = function.add_constant(weight->name + "_scale", quantized.scales);
      std::vector<mil::Operand> operands = {{"data", {data}}, {"scale", {scale}}};
      if (quantized.offsets) {
        operands.push_back(
            {"offset", {function.add_constant(weight->name + "_offset", quantized.offsets)}});
      }
      dequantized = function
                        .insert_op(i, "constexpr_blockwise_shift_scale", std::move(operands),
                                   {{weight->name + "_dequantized", weight->type}})
                        ->result();
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
  TRY(check_widths(program, how, what, param_of));
  for (const auto& function : program.functions) {
    TRY(quantize_function(*function, how, param_of, cache));
  }
  return {};
}

}  // namespace diptych::passes
