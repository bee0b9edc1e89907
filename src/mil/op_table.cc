#include "mil/op_table.h"

#include <algorithm>
#include <array>

#include "mil/op_infer.h"

namespace diptych::mil {
namespace {

constexpr ParamSpec required(std::string_view name) { return {name, true, false, false}; }
constexpr ParamSpec optional(std::string_view name) { return {name, false, false, false}; }
constexpr ParamSpec variadic(std::string_view name) { return {name, true, true, false}; }
constexpr ParamSpec fixed(std::string_view name) { return {name, true, false, true}; }
constexpr ParamSpec optional_fixed(std::string_view name) { return {name, false, false, true}; }

constexpr ParamSpec kX[] = {required("x")};
constexpr ParamSpec kXY[] = {required("x"), required("y")};
constexpr ParamSpec kCast[] = {required("x"), fixed("dtype")};
constexpr ParamSpec kConcat[] = {variadic("values"), fixed("axis"), optional_fixed("interleave")};
constexpr ParamSpec kConstexpr[] = {fixed("data"), fixed("scale"), optional_fixed("offset")};
constexpr ParamSpec kLutToDense[] = {fixed("indices"), fixed("lut"), optional_fixed("vector_axis")};
constexpr ParamSpec kCpuAttention[] = {
    required("q"), required("k_cache"), required("k"),           required("v_cache"),
    required("v"), required("mask"),    optional_fixed("scale"), optional_fixed("cap")};
constexpr ParamSpec kCpuGated[] = {required("gate"), required("up")};
constexpr ParamSpec kCpuLinear[] = {required("x"),
                                    variadic("weights"),
                                    {"biases", false, true, false},
                                    optional_fixed("counts"),
                                    optional("residual")};
constexpr ParamSpec kCpuRmsNorm[] = {required("x"), optional("weight"), fixed("epsilon"),
                                     optional_fixed("relative_epsilon")};
constexpr ParamSpec kCpuRope[] = {required("x"), required("cos"), required("sin"),
                                  optional_fixed("interleaved")};
constexpr ParamSpec kExpandDims[] = {required("x"), fixed("axes")};
constexpr ParamSpec kGather[] = {required("x"), required("indices"), optional_fixed("axis"),
                                 optional_fixed("batch_dims"), optional_fixed("validate_indices")};
constexpr ParamSpec kGelu[] = {required("x"), optional_fixed("mode")};
constexpr ParamSpec kGraphBreak[] = {variadic("values")};
constexpr ParamSpec kLinear[] = {required("x"), required("weight"), optional("bias")};
constexpr ParamSpec kMatmul[] = {required("x"), required("y"), optional_fixed("transpose_x"),
                                 optional_fixed("transpose_y")};
constexpr ParamSpec kReduce[] = {required("x"), optional_fixed("axes"),
                                 optional_fixed("keep_dims")};
constexpr ParamSpec kReshape[] = {required("x"), fixed("shape")};
constexpr ParamSpec kRsqrt[] = {required("x"), optional_fixed("epsilon")};
constexpr ParamSpec kSelect[] = {required("cond"), required("a"), required("b")};
constexpr ParamSpec kSlice[] = {required("x"),
                                fixed("begin"),
                                fixed("end"),
                                optional_fixed("stride"),
                                optional_fixed("begin_mask"),
                                optional_fixed("end_mask"),
                                optional_fixed("squeeze_mask")};
constexpr ParamSpec kSoftmax[] = {required("x"), optional_fixed("axis")};
constexpr ParamSpec kSplit[] = {required("x"), fixed("axis"), optional_fixed("num_splits"),
                                optional_fixed("split_sizes")};
constexpr ParamSpec kSqueeze[] = {required("x"), optional_fixed("axes")};
constexpr ParamSpec kStack[] = {variadic("values"), fixed("axis")};
constexpr ParamSpec kTranspose[] = {required("x"), fixed("perm")};

constexpr OpSpec kOps[] = {
    {"abs", kX, infer_number_unary},
    {"add", kXY, infer_number_binary},
    {"cast", kCast, infer_cast},
    {"concat", kConcat, infer_concat},
    {"constexpr_blockwise_shift_scale", kConstexpr, infer_constexpr_blockwise_shift_scale},
    {"constexpr_lut_to_dense", kLutToDense, infer_constexpr_lut_to_dense},
    {"cpu.attention", kCpuAttention, infer_cpu_attention},
    {"cpu.geglu", kCpuGated, infer_cpu_gated},
    {"cpu.linear", kCpuLinear, infer_cpu_linear},
    {"cpu.rms_norm", kCpuRmsNorm, infer_cpu_rms_norm},
    {"cpu.rope", kCpuRope, infer_cpu_rope},
    {"cpu.swiglu", kCpuGated, infer_cpu_gated},
    {"diptych.graph_break", kGraphBreak, infer_graph_break},
    {"expand_dims", kExpandDims, infer_expand_dims},
    {"gather", kGather, infer_gather},
    {"gelu", kGelu, infer_gelu},
    {"greater_equal", kXY, infer_comparison},
    {"linear", kLinear, infer_linear},
    {"matmul", kMatmul, infer_matmul},
    {"mul", kXY, infer_number_binary},
    {"real_div", kXY, infer_float_binary},
    {"reduce_max", kReduce, infer_reduce},
    {"reduce_mean", kReduce, infer_reduce},
    {"reduce_sum", kReduce, infer_reduce},
    {"reshape", kReshape, infer_reshape},
    {"rsqrt", kRsqrt, infer_rsqrt},
    {"select", kSelect, infer_select},
    {"sigmoid", kX, infer_float_unary},
    {"silu", kX, infer_float_unary},
    {"slice_by_index", kSlice, infer_slice_by_index},
    {"softmax", kSoftmax, infer_softmax},
    {"split", kSplit, infer_split},
    {"sqrt", kX, infer_float_unary},
    {"square", kX, infer_number_unary},
    {"squeeze", kSqueeze, infer_squeeze},
    {"stack", kStack, infer_stack},
    {"sub", kXY, infer_number_binary},
    {"tanh", kX, infer_float_unary},
    {"transpose", kTranspose, infer_transpose},
};

constexpr bool by_type(const OpSpec& a, const OpSpec& b) { return a.type < b.type; }
static_assert(std::is_sorted(std::begin(kOps), std::end(kOps), by_type));

const ParamSpec* find_param(const OpSpec& spec, std::string_view name) {
  const auto at = std::find_if(spec.params.begin(), spec.params.end(),
                               [&](const ParamSpec& param) { return param.name == name; });
  return at == spec.params.end() ? nullptr : &*at;
}

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

Status check_operand(const ParamSpec& param, const Operand& operand) {
  if (operand.values.empty() || (!param.variadic && operand.values.size() != 1)) {
    return invalid_data("expected {}, found {} values",
                        param.variadic ? "one or more values" : "one value", operand.values.size());
  }
  for (const Value* value : operand.values) {
    if (value == nullptr) return invalid_data("bound to nothing");
    if (param.constant && !value->is_constant()) {
      return invalid_data("expected a constant, found the computed value %{}", value->name);
    }
    const auto where = [&] { return "%" + value->name; };
    TRY(within(where, check_type(value->type, may_be_empty(*value))));
  }
  return {};
}

Status check_operands(const OpSpec& spec, const Op& op) {
  for (size_t i = 0; i < op.operands.size(); ++i) {
    const Operand& operand = op.operands[i];
    const ParamSpec* param = find_param(spec, operand.param);
    if (param == nullptr) return unsupported("unknown parameter '{}'", operand.param);
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
  return {};
}

Result<Types> infer_checked(const OpSpec& spec, const Op& op) {
  TRY(check_operands(spec, op));
  Types types = TRY(spec.infer(op));
  for (const TensorType& type : types) TRY(within("result", check_type(type, false)));
  return types;
}

}  // namespace

bool is_compute_float(DType dtype) { return dtype == DType::F16 || dtype == DType::F32; }

bool is_number(DType dtype) { return is_compute_float(dtype) || dtype == DType::Int32; }

bool is_storable(DType dtype) {
  return is_number(dtype) || dtype == DType::Bool || dtype == DType::Int8 ||
         dtype == DType::Int16 || dtype == DType::UInt8 || dtype == DType::UInt16;
}

Result<TensorType> typed_operand(const Op& op, std::string_view param, DTypeTest accepts) {
  const Value* value = op.operand(param);
  if (value == nullptr) return invalid_data("parameter '{}' is missing", param);
  if (!accepts(value->type.dtype)) {
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

std::span<const OpSpec> op_table() { return kOps; }

const OpSpec* find_op(std::string_view type) {
  const auto at =
      std::lower_bound(std::begin(kOps), std::end(kOps), type,
                       [](const OpSpec& spec, std::string_view t) { return spec.type < t; });
  return at != std::end(kOps) && at->type == type ? at : nullptr;
}

Result<std::vector<TensorType>> infer(const Op& op) {
  const OpSpec* spec = find_op(op.type);
  if (spec == nullptr) return unsupported("operation '{}' is not supported", op.type);
  const auto where = [&] {
    const bool named = !op.results.empty() && op.results.front() != nullptr;
    return named ? fmt::format("{} %{}", op.type, op.result()->name) : op.type;
  };
  return within(where, infer_checked(*spec, op));
}

}  // namespace diptych::mil
