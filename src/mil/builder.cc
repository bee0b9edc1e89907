#include "mil/builder.h"

#include <algorithm>

#include "mil/op_table.h"
#include "mil/verify.h"

namespace diptych::mil {
namespace {

// "reduce_mean" for itself, "graph_break" for "diptych.graph_break".
std::string_view default_name(std::string_view type) {
  const size_t dot = type.rfind('.');
  return dot == std::string_view::npos ? type : type.substr(dot + 1);
}

Operand bind(std::string_view param, Value* value) { return {std::string(param), {value}}; }

Shape list_shape(const std::vector<int64_t>& values) {
  return {static_cast<int64_t>(values.size())};
}

}  // namespace

Builder::Builder(std::unique_ptr<Function> function) : function_(std::move(function)) {
  placeholder_.name = "error";
}

Value* Builder::input(std::string_view name, TensorType type) {
  return function_->add_input(name, std::move(type));
}

Value* Builder::constant(std::string_view name, WeightRef weight) {
  return function_->add_constant(name, std::move(weight));
}

Value* Builder::small_constant(std::string_view name, WeightRef weight) {
  return unnamed_.emplace_back(function_->add_constant(name, std::move(weight)));
}

Value* Builder::ints(std::vector<int64_t> values) {
  return small_constant("ints", diptych::constant_ints(DType::Int32, list_shape(values), values));
}

Value* Builder::int_scalar(int64_t value) {
  return small_constant("int", diptych::constant_ints(DType::Int32, {}, {value}));
}

Value* Builder::bools(std::vector<int64_t> values) {
  return small_constant("bools", diptych::constant_ints(DType::Bool, list_shape(values), values));
}

Value* Builder::bool_scalar(bool value) {
  return small_constant("bool", diptych::constant_ints(DType::Bool, {}, {value ? 1 : 0}));
}

Value* Builder::string(std::string text) {
  return unnamed_.emplace_back(function_->add_string("string", std::move(text)));
}

Value* Builder::float_scalar(DType dtype, double value) {
  return small_constant("float", constant_floats(dtype, {}, {value}));
}

void Builder::name_constants(const std::vector<Operand>& operands, std::string_view result) {
  for (const Operand& operand : operands) {
    for (Value* value : operand.values) {
      const auto at = std::find(unnamed_.begin(), unnamed_.end(), value);
      if (at == unnamed_.end()) continue;
      unnamed_.erase(at);
      function_->rename(value, fmt::format("{}_{}_0", result, operand.param));
    }
  }
}

std::vector<Value*> Builder::multi_op(std::string type, std::vector<Operand> operands, size_t count,
                                      std::string_view name) {
  std::vector<Value*> placeholders(count, &placeholder_);
  if (!error_) return placeholders;

  const std::string result_name(name.empty() ? default_name(type) : name);
  Op op{std::move(type), std::move(operands), {}};
  auto types = [&]() -> Result<std::vector<TensorType>> {
    return infer(op, TRY(opset_from_name(function_->opset)));
  }();
  if (!types) {
    error_ = tl::unexpected(std::move(types.error()).within(result_name));
    return placeholders;
  }
  if (types->size() != count) {
    error_ = invalid_argument("{}: {} has {} results, expected {}", result_name, op.type,
                              types->size(), count);
    return placeholders;
  }
  std::vector<std::pair<std::string, TensorType>> results;
  for (TensorType& result : *types) results.emplace_back(result_name, std::move(result));
  const Op* added =
      function_->add_op(std::move(op.type), std::move(op.operands), std::move(results));
  name_constants(added->operands, added->result()->name);
  return added->results;
}

Value* Builder::op(std::string type, std::vector<Operand> operands, std::string_view name) {
  return multi_op(std::move(type), std::move(operands), 1, name).front();
}

Value* Builder::add(Value* x, Value* y) { return op("add", {bind("x", x), bind("y", y)}); }
Value* Builder::sub(Value* x, Value* y) { return op("sub", {bind("x", x), bind("y", y)}); }
Value* Builder::mul(Value* x, Value* y) { return op("mul", {bind("x", x), bind("y", y)}); }
Value* Builder::real_div(Value* x, Value* y) {
  return op("real_div", {bind("x", x), bind("y", y)});
}

Value* Builder::cast(Value* x, DType dtype) {
  return op("cast", {bind("x", x), bind("dtype", string(std::string(name(dtype))))});
}

Value* Builder::concat(std::vector<Value*> values, int64_t axis) {
  return op("concat", {{"values", std::move(values)},
                       bind("axis", int_scalar(axis)),
                       bind("interleave", bool_scalar(false))});
}

Value* Builder::stack(std::vector<Value*> values, int64_t axis) {
  return op("stack", {{"values", std::move(values)}, bind("axis", int_scalar(axis))});
}

Value* Builder::reshape(Value* x, Shape shape) {
  return op("reshape", {bind("x", x), bind("shape", ints(std::move(shape)))});
}

Value* Builder::transpose(Value* x, std::vector<int64_t> perm) {
  return op("transpose", {bind("x", x), bind("perm", ints(std::move(perm)))});
}

Value* Builder::expand_dims(Value* x, std::vector<int64_t> axes) {
  return op("expand_dims", {bind("x", x), bind("axes", ints(std::move(axes)))});
}

Value* Builder::linear(Value* x, Value* weight, Value* bias) {
  std::vector<Operand> operands = {bind("x", x), bind("weight", weight)};
  if (bias != nullptr) operands.push_back(bind("bias", bias));
  return op("linear", std::move(operands));
}

Value* Builder::matmul(Value* x, Value* y, bool transpose_x, bool transpose_y) {
  return op("matmul", {bind("x", x), bind("y", y), bind("transpose_x", bool_scalar(transpose_x)),
                       bind("transpose_y", bool_scalar(transpose_y))});
}

Value* Builder::softmax(Value* x, int64_t axis) {
  return op("softmax", {bind("x", x), bind("axis", int_scalar(axis))});
}

Value* Builder::silu(Value* x) { return unary("silu", x); }

Value* Builder::gelu_tanh(Value* x) {
  return op("gelu", {bind("x", x), bind("mode", string("TANH_APPROXIMATION"))});
}

Value* Builder::reduce_mean(Value* x, std::vector<int64_t> axes, bool keep_dims) {
  return op("reduce_mean", {bind("x", x), bind("axes", ints(std::move(axes))),
                            bind("keep_dims", bool_scalar(keep_dims))});
}

Value* Builder::reduce_max(Value* x, std::vector<int64_t> axes, bool keep_dims) {
  return op("reduce_max", {bind("x", x), bind("axes", ints(std::move(axes))),
                           bind("keep_dims", bool_scalar(keep_dims))});
}

Value* Builder::unary(std::string type, Value* x) { return op(std::move(type), {bind("x", x)}); }

Value* Builder::rsqrt(Value* x, double epsilon) {
  return op("rsqrt", {bind("x", x), bind("epsilon", float_scalar(DType::F32, epsilon))});
}

Value* Builder::gather(Value* x, Value* indices, int64_t axis) {
  return op("gather",
            {bind("x", x), bind("indices", indices), bind("axis", int_scalar(axis)),
             bind("batch_dims", int_scalar(0)), bind("validate_indices", bool_scalar(false))});
}

Value* Builder::greater_equal(Value* x, Value* y) {
  return op("greater_equal", {bind("x", x), bind("y", y)});
}

Value* Builder::select(Value* cond, Value* a, Value* b) {
  return op("select", {bind("cond", cond), bind("a", a), bind("b", b)});
}

Value* Builder::slice_by_index(Value* x, std::vector<int64_t> begin, std::vector<int64_t> end,
                               std::vector<int64_t> stride, std::vector<int64_t> end_mask) {
  std::vector<Operand> operands = {bind("x", x), bind("begin", ints(std::move(begin))),
                                   bind("end", ints(std::move(end)))};
  if (!stride.empty()) operands.push_back(bind("stride", ints(std::move(stride))));
  if (!end_mask.empty()) operands.push_back(bind("end_mask", bools(std::move(end_mask))));
  return op("slice_by_index", std::move(operands));
}

std::vector<Value*> Builder::graph_break(std::vector<Value*> values) {
  const size_t count = values.size();
  return multi_op("diptych.graph_break", {{"values", std::move(values)}}, count);
}

Result<std::unique_ptr<Function>> Builder::finish(std::vector<Value*> outputs) {
  TRY(within(function_->name, std::move(error_)));
  function_->outputs = std::move(outputs);
  TRY(verify(*function_));
  return std::move(function_);
}

}  // namespace diptych::mil
