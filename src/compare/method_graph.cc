#include "compare/method_graph.h"

#include <algorithm>
#include <unordered_map>

#include "runtime/coreml_payload.h"

namespace diptych::compare {

namespace {

// Builds the function of one method.
class Joiner {
 public:
  Joiner(const pte::Method& method, MethodGraph& graph) : method_(method), graph_(graph) {
    graph_.name = method.name;
    graph_.function = std::make_unique<mil::Function>(method.name);
  }

  Status call(const coreml::DelegateFunction& callee, const pte::DelegateCall& call,
              size_t partition) {
    const size_t inputs = callee.inputs.size();
    if (call.args.size() != inputs + callee.outputs.size()) {
      return invalid_data("partition {} has {} arguments, the model takes {} inputs and {} outputs",
                          partition, call.args.size(), inputs, callee.outputs.size());
    }
    std::unordered_map<const mil::Value*, mil::Value*> map;
    for (size_t i = 0; i < inputs; ++i) {
      map[callee.inputs[i]] = TRY(argument(call.args[i], *callee.inputs[i]));
    }
    for (const mil::Value* input : callee.function->inputs) {
      if (map.count(input) == 0) return invalid_data("input {} is not passed", input->name);
    }
    copy(*callee.function, map);
    for (size_t i = 0; i < callee.outputs.size(); ++i) {
      values_[call.args[inputs + i]] = map.at(callee.outputs[i]);
    }
    graph_.partitions = std::max(graph_.partitions, partition + 1);
    return {};
  }

  Status finish() {
    // In the method's order, those that nothing reads too.
    std::vector<mil::Value*> inputs;
    for (const int32_t index : method_.inputs) {
      const auto found = inputs_.find(index);
      inputs.push_back(found != inputs_.end() ? found->second : TRY(unread_input(index)));
    }
    graph_.function->inputs = std::move(inputs);
    for (const int32_t index : method_.outputs) {
      const auto found = values_.find(index);
      if (found == values_.end()) {
        return unsupported("output {} comes from no Core ML delegate", index);
      }
      graph_.function->outputs.push_back(found->second);
    }
    return {};
  }

 private:
  bool is_input(int32_t index) const {
    return std::find(method_.inputs.begin(), method_.inputs.end(), index) != method_.inputs.end();
  }

  Result<mil::Value*> argument(int32_t index, const mil::Value& wanted) {
    auto found = values_.find(index);
    if (found == values_.end()) {
      if (!is_input(index)) return unsupported("value {} is neither an input nor computed", index);
      mil::Value* input = graph_.function->add_input(wanted.name, wanted.type);
      inputs_[index] = input;
      found = values_.emplace(index, input).first;
    }
    mil::Value* value = found->second;
    if (value->type.shape != wanted.type.shape) {
      return unsupported("value {} is {} for one partition and {} for another", index,
                         to_string(value->type), to_string(wanted.type));
    }
    if (value->type == wanted.type) return value;
    mil::Function& function = *graph_.function;
    mil::Value* dtype = function.add_string("dtype", std::string(name(wanted.type.dtype)));
    return function
        .add_op("cast", {{"x", {value}}, {"dtype", {dtype}}}, {{wanted.name, wanted.type}})
        ->result();
  }

  Result<mil::Value*> unread_input(int32_t index) {
    const auto* tensor = std::get_if<pte::Tensor>(&method_.values[static_cast<size_t>(index)]);
    if (tensor == nullptr) return unsupported("input {} is no tensor", index);
    TensorType type = TRY(pte::tensor_type(*tensor));
    if (type.dtype == DType::Int64) type.dtype = DType::Int32;
    return graph_.function->add_input("unread", type);
  }

  void copy(const mil::Function& from, std::unordered_map<const mil::Value*, mil::Value*>& map) {
    mil::Function& to = *graph_.function;
    to.opset = from.opset;
    for (const mil::Value* constant : from.constants()) {
      map[constant] = constant->weight ? to.add_constant(constant->name, constant->weight)
                                       : to.add_string(constant->name, constant->text);
    }
    for (const auto& op : from.ops) {
      std::vector<mil::Operand> operands = op->operands;
      for (mil::Operand& operand : operands) {
        for (mil::Value*& value : operand.values) value = map.at(value);
      }
      std::vector<std::pair<std::string, TensorType>> results;
      for (const mil::Value* result : op->results) results.emplace_back(result->name, result->type);
      const mil::Op* added = to.add_op(op->type, std::move(operands), std::move(results));
      for (size_t i = 0; i < op->results.size(); ++i) map[op->results[i]] = added->results[i];
    }
  }

  const pte::Method& method_;
  MethodGraph& graph_;
  std::unordered_map<int32_t, mil::Value*> values_, inputs_;
};

}  // namespace

Result<const coreml::DelegateModel*> Packages::model_of(Bytes blob) {
  auto& model = models_[blob.data()];
  if (model == nullptr) {
    model = std::make_unique<coreml::DelegateModel>(TRY(coreml::read_delegate(blob, owner_)));
  }
  return model.get();
}

Result<MethodGraph> Packages::join(const pte::Method& method) {
  MethodGraph graph;
  Joiner joiner(method, graph);
  const auto build = [&]() -> Status {
    for (const pte::Instruction& instruction : method.instructions) {
      if (std::holds_alternative<pte::FreeCall>(instruction)) continue;
      const auto* call = std::get_if<pte::DelegateCall>(&instruction);
      if (call == nullptr) return unsupported("it does more than call Core ML delegates");
      const auto index = static_cast<size_t>(call->delegate);
      const pte::Delegate& delegate = method.delegates[index];
      if (delegate.backend != coreml::kBackendId) {
        return unsupported("a delegate of another backend, {}", delegate.backend);
      }
      const runtime::CoremlPayload payload = TRY(runtime::coreml_payload(program_, delegate));
      const coreml::DelegateModel* model =
          TRY(within(runtime::partition_place(method, index), model_of(payload.blob)));
      const coreml::DelegateFunction function = TRY(coreml::resolve_function(
          *model, method.name, payload.reference ? &*payload.reference : nullptr));
      TRY(joiner.call(function, *call, index));
    }
    return joiner.finish();
  };
  TRY(within("method " + method.name, build()));
  return graph;
}

}  // namespace diptych::compare
