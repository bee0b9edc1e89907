#include "mil/ir.h"

#include <algorithm>
#include <unordered_set>

namespace diptych::mil {

bool is_constant_expression(const Op& op) { return op.type.starts_with("constexpr_"); }

bool is_constant_expression(const Value& value) {
  return value.kind == Value::Kind::Result && is_constant_expression(*value.producer);
}

Value* Op::operand(std::string_view param) const {
  const auto& values = operand_list(param);
  return values.empty() ? nullptr : values.front();
}

const std::vector<Value*>& Op::operand_list(std::string_view param) const {
  static const std::vector<Value*> kNone;
  for (const Operand& operand : operands) {
    if (operand.param == param) return operand.values;
  }
  return kNone;
}

std::string Function::unique_name(std::string_view wanted) {
  std::string candidate(wanted.empty() ? "value" : wanted);
  if (!by_name_.contains(candidate)) return candidate;
  int& suffix = next_suffix_[candidate];
  std::string numbered;
  do {
    numbered = fmt::format("{}_{}", candidate, ++suffix);
  } while (by_name_.contains(numbered));
  return numbered;
}

Value* Function::add_value(std::string_view wanted, TensorType type, Value::Kind kind) {
  auto value = std::make_unique<Value>();
  value->name = unique_name(wanted);
  value->type = std::move(type);
  value->kind = kind;
  by_name_[value->name] = value.get();
  values_.push_back(std::move(value));
  return values_.back().get();
}

Value* Function::add_input(std::string_view wanted, TensorType type) {
  Value* value = add_value(wanted, std::move(type), Value::Kind::Input);
  inputs.push_back(value);
  return value;
}

Value* Function::add_constant(std::string_view wanted, WeightRef weight) {
  Value* value = add_value(wanted, weight->type(), Value::Kind::Constant);
  value->weight = std::move(weight);
  return value;
}

Value* Function::add_string(std::string_view wanted, std::string text) {
  Value* value = add_value(wanted, {DType::String, {}}, Value::Kind::Constant);
  value->text = std::move(text);
  return value;
}

Op* Function::insert_op(size_t position, std::string type, std::vector<Operand> operands,
                        std::vector<std::pair<std::string, TensorType>> results) {
  auto op = std::make_unique<Op>();
  op->type = std::move(type);
  op->operands = std::move(operands);
  for (auto& [result_name, result_type] : results) {
    Value* value = add_value(result_name, std::move(result_type), Value::Kind::Result);
    value->producer = op.get();
    value->result_index = static_cast<int>(op->results.size());
    op->results.push_back(value);
  }
  Op* inserted = op.get();
  ops.insert(ops.begin() + static_cast<std::ptrdiff_t>(position), std::move(op));
  return inserted;
}

Op* Function::add_op(std::string type, std::vector<Operand> operands,
                     std::vector<std::pair<std::string, TensorType>> results) {
  return insert_op(ops.size(), std::move(type), std::move(operands), std::move(results));
}

Value* Function::find(std::string_view wanted) const {
  const auto found = by_name_.find(std::string(wanted));
  return found == by_name_.end() ? nullptr : found->second;
}

void Function::rename(Value* value, std::string_view wanted) {
  if (value->name == wanted) return;
  by_name_.erase(value->name);
  value->name = unique_name(wanted);
  by_name_[value->name] = value;
}

void Function::replace_uses(Value* from, Value* to) {
  for (auto& op : ops) {
    for (Operand& operand : op->operands)
      std::replace(operand.values.begin(), operand.values.end(), from, to);
  }
  std::replace(outputs.begin(), outputs.end(), from, to);
}

void Function::remove_dead() {
  std::unordered_set<const Value*> live(outputs.begin(), outputs.end(), values_.size());
  // Backwards, an operation is live when one of its results is.
  for (auto op = ops.rbegin(); op != ops.rend(); ++op) {
    const bool used = std::any_of((*op)->results.begin(), (*op)->results.end(),
                                  [&](const Value* value) { return live.contains(value); });
    if (!used) continue;
    live.insert((*op)->results.begin(), (*op)->results.end());
    for (const Operand& operand : (*op)->operands) {
      live.insert(operand.values.begin(), operand.values.end());
    }
  }
  std::erase_if(ops, [&](const std::unique_ptr<Op>& op) {
    return std::none_of(op->results.begin(), op->results.end(),
                        [&](const Value* value) { return live.contains(value); });
  });
  live.insert(inputs.begin(), inputs.end());
  std::erase_if(values_, [&](const std::unique_ptr<Value>& value) {
    if (live.contains(value.get())) return false;
    by_name_.erase(value->name);
    return true;
  });
}

std::vector<Value*> Function::constants() const {
  std::vector<Value*> found;
  for (const auto& value : values_) {
    if (value->is_constant()) found.push_back(value.get());
  }
  return found;
}

Function* Program::find(std::string_view name) const {
  for (const auto& function : functions) {
    if (function->name == name) return function.get();
  }
  return nullptr;
}

std::unique_ptr<Function> clone(const Function& function) {
  auto copy = std::make_unique<Function>(function.name, function.opset);
  std::unordered_map<const Value*, Value*> map;
  for (const Value* input : function.inputs) map[input] = copy->add_input(input->name, input->type);
  for (const Value* constant : function.constants()) {
    map[constant] = constant->weight ? copy->add_constant(constant->name, constant->weight)
                                     : copy->add_string(constant->name, constant->text);
  }
  for (const auto& op : function.ops) {
    std::vector<Operand> operands = op->operands;
    for (Operand& operand : operands) {
      for (Value*& value : operand.values) value = map.at(value);
    }
    std::vector<std::pair<std::string, TensorType>> results;
    for (const Value* result : op->results) results.emplace_back(result->name, result->type);
    const Op* added = copy->add_op(op->type, std::move(operands), std::move(results));
    for (size_t i = 0; i < op->results.size(); ++i) map[op->results[i]] = added->results[i];
  }
  for (const Value* output : function.outputs) copy->outputs.push_back(map.at(output));
  return copy;
}

namespace {

Result<const Weight*> constant_weight(const Value& value) {
  if (!value.is_constant() || !value.weight) {
    return invalid_data("%{}: expected a numeric constant", value.name);
  }
  return value.weight.get();
}

}  // namespace

Result<std::vector<int64_t>> constant_ints(const Value& value) {
  // Axes, shapes and flags: a longer constant is never meant to be read here.
  constexpr uint64_t kMaxElements = 4096;
  const Weight* weight = TRY(constant_weight(value));
  if (weight->elements() > kMaxElements) {
    return invalid_data("%{}: expected a short list of integers, found {}", value.name,
                        to_string(value.type));
  }
  return within("%" + value.name, read_ints(*weight));
}

Result<int64_t> constant_int(const Value& value) {
  const auto values = TRY(constant_ints(value));
  if (values.size() != 1) {
    return invalid_data("%{}: expected one integer, found {}", value.name, to_string(value.type));
  }
  return values[0];
}

Result<double> constant_float(const Value& value) {
  const Weight* weight = TRY(constant_weight(value));
  if (weight->elements() != 1) {
    return invalid_data("%{}: expected one number, found {}", value.name, to_string(value.type));
  }
  return static_cast<double>(TRY(within("%" + value.name, read_floats(*weight)))[0]);
}

Result<std::string> constant_string(const Value& value) {
  if (!value.is_constant() || value.type.dtype != DType::String) {
    return invalid_data("%{}: expected a constant string, found {}", value.name,
                        to_string(value.type));
  }
  return value.text;
}

}  // namespace diptych::mil
