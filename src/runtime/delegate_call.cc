#include "runtime/delegate_call.h"

#include "runtime/convert.h"

namespace diptych::runtime {

namespace {

// Checks an argument against its port; makes room for the function's elements when they differ.
Status prepare(const engine::Port& port, const TensorType& type, uint64_t size, bool is_input,
               std::vector<std::byte>& converted) {
  const TensorType& from = is_input ? type : port.type;
  const TensorType& to = is_input ? port.type : type;
  if (!can_pass(from, to)) {
    return invalid_argument("expected {}, found {}", to_string(port.type), to_string(type));
  }
  const uint64_t expected = TRY(packed_size(type));
  if (size != expected) {
    return invalid_argument("{} takes {} bytes, found {}", to_string(type), expected, size);
  }
  converted.resize(type.dtype == port.type.dtype ? 0 : TRY(packed_size(port.type)));
  return {};
}

}  // namespace

Result<DelegateCall> DelegateCall::create(const CompiledFunction& function) {
  DelegateCall call(TRY(engine::Execution::create(function.executable)));
  for (const size_t port : function.inputs) call.inputs_.emplace_back().port = port;
  for (const size_t port : function.outputs) call.outputs_.emplace_back().port = port;
  return call;
}

const engine::Port& DelegateCall::input(size_t index) const {
  return execution_->executable().inputs()[inputs_[index].port];
}

const engine::Port& DelegateCall::output(size_t index) const {
  return execution_->executable().outputs()[outputs_[index].port];
}

Status DelegateCall::bind_input(size_t index, const TensorType& type, Bytes data) {
  Argument& argument = inputs_[index];
  const engine::Port& port = input(index);
  TRY(within([&] { return "input " + port.name; },
             prepare(port, type, data.size(), true, argument.converted)));
  argument.dtype = type.dtype;
  argument.data = data.data();
  argument.size = data.size();
  return execution_->bind_input(
      argument.port, argument.converted.empty() ? argument.data : argument.converted.data(),
      port.type);
}

Status DelegateCall::bind_output(size_t index, const TensorType& type, MutableBytes data) {
  Argument& argument = outputs_[index];
  const engine::Port& port = output(index);
  TRY(within([&] { return "output " + port.name; },
             prepare(port, type, data.size(), false, argument.converted)));
  argument.dtype = type.dtype;
  argument.out = data.data();
  argument.size = data.size();
  return execution_->bind_output(
      argument.port, argument.converted.empty() ? argument.out : argument.converted.data(),
      port.type);
}

Status DelegateCall::convert_inputs() {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Argument& argument = inputs_[i];
    if (argument.converted.empty()) continue;
    Status status = convert({argument.data, argument.size}, argument.dtype, argument.converted,
                            input(i).type.dtype);
    if (!status) return within("input " + input(i).name, std::move(status));
  }
  return {};
}

Status DelegateCall::convert_outputs() {
  for (size_t i = 0; i < outputs_.size(); ++i) {
    Argument& argument = outputs_[i];
    if (argument.converted.empty()) continue;
    Status status = convert(argument.converted, output(i).type.dtype, {argument.out, argument.size},
                            argument.dtype);
    if (!status) return within("output " + output(i).name, std::move(status));
  }
  return {};
}

Status DelegateCall::run(ThreadPool& pool, engine::RunObserver* observer) {
  TRY(convert_inputs());
  TRY(execution_->run(pool, observer));
  return convert_outputs();
}

Status DelegateCall::run_together(std::span<DelegateCall* const> calls, ThreadPool& pool,
                                  engine::JointMemory& memory, engine::RunObserver* observer) {
  if (calls.size() == 1) return calls.front()->run(pool, observer);
  std::vector<engine::Execution*> executions;
  for (DelegateCall* call : calls) {
    TRY(call->convert_inputs());
    executions.push_back(call->execution_.get());
  }
  TRY(engine::Execution::run_together(executions, pool, memory, observer));
  for (DelegateCall* call : calls) TRY(call->convert_outputs());
  return {};
}

}  // namespace diptych::runtime
