// The checks that precede inference: operands against the table.
#include <algorithm>
#include <array>

#include "mil/op_infer.h"
#include "mil/op_table.h"
#include "mil/params.h"

namespace diptych::mil {
namespace {

// A list of axes or sizes may be empty; every other tensor has elements.
bool may_be_empty(const Value& value) {
  const DType dtype = value.type.dtype;
  return value.is_constant() && value.type.rank() == 1 &&
         (dtype == DType::Int32 || dtype == DType::Bool);
}

Status check_type(const TensorType& type, bool empty_allowed) {
  if (type.rank() > kMaxRank) {
    return unsupported("rank {} is more than {}", type.rank(), kMaxRank);
  }
  for (const int64_t dim : type.shape) {
    if (dim < (empty_allowed ? 0 : 1)) {
      return invalid_data("expected positive dimensions, found {}", to_string(type));
    }
  }
  TRY(element_count(type.shape));
  if (type.dtype != DType::String) TRY(packed_size(type));
  return {};
}

// Whether a value is a constant as a parameter wants one.
bool is_constant_for(const ParamSpec& param, const Value& value) {
  return (param.cast ? uncast(value) : value).is_constant() ||
         (param.unpacked && is_constant_expression(value));
}

Status check_operand(const ParamSpec& param, const Operand& operand) {
  if (operand.values.empty() || (!param.variadic && operand.values.size() != 1)) {
    return invalid_data("expected {}, found {} values",
                        param.variadic ? "one or more values" : "one value", operand.values.size());
  }
  for (const Value* value : operand.values) {
    if (value == nullptr) return invalid_data("bound to nothing");
    if (param.constant && !is_constant_for(param, *value)) {
      return invalid_data("expected a constant, found the computed value %{}", value->name);
    }
    const auto where = [&] { return "%" + value->name; };
    const bool empty_allowed = param.may_be_empty ? value->type.rank() == 1 : may_be_empty(*value);
    TRY(within(where, check_type(value->type, empty_allowed)));
    if (param.types && !param.types->contains(value->type.dtype)) {
      return invalid_data("%{} has the unsuitable type {}", value->name, to_string(value->type));
    }
  }
  return {};
}

// Operands whose parameters have the same letter must have one element type.
Status check_alike(const OpSpec& spec, const Op& op) {
  std::array<const Value*, 128> first{};
  for (const ParamSpec& param : spec.params) {
    if (param.alike == 0) continue;
    const Value*& expected = first[static_cast<size_t>(param.alike)];
    for (const Value* value : op.operand_list(param.name)) {
      if (expected == nullptr) expected = value;
      TRY(expect_same_dtype("%" + expected->name, expected->type, "%" + value->name, value->type));
    }
  }
  return {};
}

Status check_operands(const OpSpec& spec, const Op& op, Opset opset) {
  for (size_t i = 0; i < op.operands.size(); ++i) {
    const Operand& operand = op.operands[i];
    const ParamSpec* param = find_param(spec, operand.param);
    if (param == nullptr) return unsupported("unknown parameter '{}'", operand.param);
    if (param->since > opset) {
      return invalid_data("parameter '{}' came with opset {}, the function's is {}", param->name,
                          name(param->since), name(opset));
    }
    for (size_t j = 0; j < i; ++j) {
      if (op.operands[j].param == operand.param) {
        return invalid_data("parameter '{}' is bound twice", operand.param);
      }
    }
    const auto where = [&] { return fmt::format("parameter '{}'", operand.param); };
    TRY(within(where, check_operand(*param, operand)));
  }
  for (const ParamSpec& param : spec.params) {
    if (param.required && op.operand(param.name) == nullptr) {
      return invalid_data("parameter '{}' is missing", param.name);
    }
  }
  return check_alike(spec, op);
}

Result<Types> infer_checked(const OpSpec& spec, const Op& op, Opset opset) {
  TRY(check_operands(spec, op, opset));
  Types types = TRY(spec.infer(op));
  for (const TensorType& type : types) {
    // Of a weight without a single nonzero element.
    const bool empty_allowed = is_constant_expression(op) && type.rank() == 1;
    TRY(within("result", check_type(type, empty_allowed)));
  }
  return types;
}

}  // namespace

Result<TensorType> typed_operand(const Op& op, std::string_view param, TypeSet accepted) {
  const Value* value = op.operand(param);
  if (value == nullptr) return invalid_data("parameter '{}' is missing", param);
  if (!accepted.contains(value->type.dtype)) {
    return invalid_data("parameter '{}': %{} has the unsuitable type {}", param, value->name,
                        to_string(value->type));
  }
  return value->type;
}

Status expect_same_dtype(std::string_view a, const TensorType& a_type, std::string_view b,
                         const TensorType& b_type) {
  if (a_type.dtype != b_type.dtype) {
    return invalid_data("{} is {} and {} is {}: expected the same element type", a,
                        to_string(a_type), b, to_string(b_type));
  }
  return {};
}

const ParamSpec* find_param(const OpSpec& spec, std::string_view name) {
  const auto at = std::find_if(spec.params.begin(), spec.params.end(),
                               [&](const ParamSpec& param) { return param.name == name; });
  return at == spec.params.end() ? nullptr : &*at;
}

namespace {

// The definitions of an operation.
std::span<const OpSpec> definitions(std::string_view type) {
  const auto table = op_table();
  const auto first =
      std::lower_bound(table.begin(), table.end(), type,
                       [](const OpSpec& spec, std::string_view t) { return spec.type < t; });
  const auto last =
      std::find_if(first, table.end(), [&](const OpSpec& spec) { return spec.type != type; });
  return {first, last};
}

}  // namespace

bool has_attributes(const OpSpec& spec) {
  return spec.type.starts_with("constexpr_") && spec.since < Opset::CoreML8;
}

bool is_known_op(std::string_view type) { return !definitions(type).empty(); }

const OpSpec* find_op(std::string_view type, Opset opset) {
  for (const OpSpec& spec : definitions(type)) {
    if (spec.since <= opset && opset <= spec.until) return &spec;
  }
  return nullptr;
}

Result<std::vector<TensorType>> infer(const Op& op, Opset opset) {
  const OpSpec* spec = find_op(op.type, opset);
  if (spec == nullptr && is_known_op(op.type)) {
    return unsupported("operation '{}' is not in opset {}", op.type, name(opset));
  }
  if (spec == nullptr) return unsupported("operation '{}' is not supported", op.type);
  const auto where = [&] {
    const bool named = !op.results.empty() && op.results.front() != nullptr;
    return named ? fmt::format("{} %{}", op.type, op.result()->name) : op.type;
  };
  return within(where, infer_checked(*spec, op, opset));
}

}  // namespace diptych::mil
