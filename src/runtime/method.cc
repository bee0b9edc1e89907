#include "runtime/method.h"

#include <algorithm>

#include "runtime/convert.h"
#include "runtime/method_impl.h"

namespace diptych::runtime {

Result<TensorType> value_type(const pte::Tensor& tensor, bool wide) {
  TensorType type = TRY(pte::tensor_type(tensor));
  if (wide && type.dtype == DType::F16) type.dtype = DType::F32;
  return type;
}

Result<Program::Signature> method_signature(const pte::Method& method, bool wide) {
  const auto types_of = [&](const std::vector<int32_t>& indices,
                            std::string_view side) -> Result<std::vector<TensorType>> {
    std::vector<TensorType> types;
    for (const int32_t index : indices) {
      const auto* tensor = std::get_if<pte::Tensor>(&method.values[static_cast<size_t>(index)]);
      const std::string where = fmt::format("{} {}", side, types.size());
      if (tensor == nullptr) {
        return within<std::vector<TensorType>>(where, unsupported("expected a tensor"));
      }
      types.push_back(TRY(within(where, value_type(*tensor, wide))));
    }
    return types;
  };
  // One after the other: an early return from inside a braced list would lose what is built of it.
  Program::Signature signature;
  signature.inputs = TRY(types_of(method.inputs, "input"));
  signature.outputs = TRY(types_of(method.outputs, "output"));
  return signature;
}

Result<ArenaMemory> ArenaMemory::allocate(uint64_t size) {
  ArenaMemory arena;
  arena.data_.reset(static_cast<std::byte*>(std::calloc(std::max<uint64_t>(size, 1), 1)));
  if (!arena.data_)
    return fail(ErrorCode::Io, "out of memory: {} bytes asked for a planned arena", size);
  return arena;
}

Result<std::unique_ptr<Method::Impl>> Method::Impl::load(std::shared_ptr<Program> program,
                                                         const pte::Method& method,
                                                         const Program::Signature& types,
                                                         std::optional<TokenInput> tokens,
                                                         DelegateCache& delegates, bool wide) {
  auto impl = std::make_unique<Impl>();
  impl->program = std::move(program);
  impl->name = method.name;
  impl->signature = types;
  impl->input_values = method.inputs;
  impl->output_values = method.outputs;
  TRY(impl->place_values(impl->program->container(), method, wide));
  impl->token_axes.resize(method.values.size());
  if (tokens) {
    if (tokens->input >= types.inputs.size() ||
        tokens->axis >= types.inputs[tokens->input].shape.size()) {
      return invalid_argument("there is no axis {} of an input {} to count tokens", tokens->axis,
                              tokens->input);
    }
    impl->counts_tokens = true;
    impl->token_axes[static_cast<size_t>(method.inputs[tokens->input])] = tokens->axis;
  }

  std::vector<bool> ready(method.values.size());
  for (size_t i = 0; i < ready.size(); ++i)
    ready[i] = impl->slots[i].data != nullptr && impl->slots[i].mutable_data == nullptr;
  for (const int32_t input : method.inputs) ready[static_cast<size_t>(input)] = true;
  const std::vector<bool> given = ready;

  Error problems{ErrorCode::Unsupported, {}, "the method cannot run here:", {}};
  for (const pte::Instruction& instruction : method.instructions) {
    const auto* call = std::get_if<pte::DelegateCall>(&instruction);
    if (call == nullptr) {
      std::string what = "an instruction that is no delegate call";
      if (const auto* kernel = std::get_if<pte::KernelCall>(&instruction)) {
        const pte::Operator& op = method.operators[static_cast<size_t>(kernel->op)];
        what =
            fmt::format("kernel call {}{}{}", op.name, op.overload.empty() ? "" : ".", op.overload);
      }
      problems.items.push_back(what + ": diptych runs Core ML delegates only");
      continue;
    }
    const std::string where = fmt::format("partition {}", call->delegate);
    if (Status status = impl->add_call(method, *call, delegates, ready); !status) {
      Error error = std::move(status.error()).within(where);
      if (error.code != ErrorCode::Unsupported) return tl::unexpected(std::move(error));
      problems.items.push_back(error.context + ": " + error.message);
      for (std::string& item : error.items) problems.items.push_back("  " + std::move(item));
    }
  }
  if (!problems.items.empty()) return tl::unexpected(std::move(problems));

  for (size_t i = 0; i < method.outputs.size(); ++i) {
    const auto value = static_cast<size_t>(method.outputs[i]);
    if (!ready[value]) return invalid_data("output {} (value {}) is never written", i, value);
    if (given[value]) impl->pass_throughs.push_back({value, i, nullptr});
  }
  impl->wanted_outputs.assign(method.outputs.size(), true);
  impl->mark_needed_calls();
  return impl;
}

// Arenas are as large as their tensors reach. No planner leaves more room than the tensors take
// when each is rounded up to a page, so a damaged file cannot ask for memory it has no use for.
Status Method::Impl::allocate_arenas(const pte::Method& method) {
  constexpr uint64_t kPage = 4096, kLimit = uint64_t{16} << 30;
  std::vector<uint64_t> reach(method.arena_sizes.size()), room(method.arena_sizes.size());
  for (const pte::EValue& value : method.values) {
    const auto* tensor = std::get_if<pte::Tensor>(&value);
    if (tensor == nullptr || !tensor->allocation) continue;
    const auto [memory_id, offset] = *tensor->allocation;
    const uint64_t size = TRY(pte::byte_size(*tensor));
    if (memory_id >= reach.size() || size > kLimit || offset > kLimit) {
      return invalid_data("planned memory {}+{} of arena {} does not exist", offset, size,
                          memory_id);
    }
    reach[memory_id] = std::max(reach[memory_id], offset + size);
    room[memory_id] += align_up(size, kPage) + kPage;
    if (room[memory_id] > kLimit) {
      return unsupported("arena {} is beyond the memory limit of {} bytes", memory_id, kLimit);
    }
  }
  for (size_t i = 0; i < reach.size(); ++i) {
    if (reach[i] > room[i]) {
      return invalid_data("arena {} of {} bytes is larger than its tensors need", i, reach[i]);
    }
    arenas.push_back(TRY(ArenaMemory::allocate(reach[i])));
  }
  return {};
}

Status Method::Impl::place_values(const pte::Program& container, const pte::Method& method,
                                  bool wide) {
  TRY(allocate_arenas(method));
  slots.resize(method.values.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto* tensor = std::get_if<pte::Tensor>(&method.values[i]);
    if (tensor == nullptr) continue;
    const std::string where = fmt::format("value {}", i);
    if (tensor->is_external()) {
      return within<void>(where, unsupported("tensor data outside the .pte file (\"{}\")",
                                             tensor->extra->qualified_name));
    }
    if (tensor->data > 0 && tensor->allocation) {
      return within<void>(where, unsupported("mutable tensors with an initial state"));
    }
    Slot& slot = slots[i];
    slot.is_tensor = true;
    slot.type = TRY(within(where, value_type(*tensor, wide && !tensor->is_constant())));
    slot.size = TRY(within(where, packed_size(slot.type)));
    if (tensor->is_constant()) {
      const Bytes bytes = container.constants[tensor->data].bytes();
      if (bytes.size() < slot.size) {
        return within<void>(
            where, invalid_data("a constant of {} bytes needs {}", bytes.size(), slot.size));
      }
      slot.data = bytes.data();
    } else if (tensor->allocation) {
      TRY(within(where, place_intermediate(method, *tensor, slot)));
    }
  }
  return {};
}

Status Method::Impl::place_intermediate(const pte::Method& method, const pte::Tensor& tensor,
                                        Slot& slot) {
  const auto [memory_id, offset] = *tensor.allocation;
  const uint64_t planned = TRY(pte::byte_size(tensor));
  if (memory_id >= arenas.size() ||
      !range_fits(offset, planned, static_cast<uint64_t>(method.arena_sizes[memory_id]))) {
    return invalid_data("planned memory {}+{} is outside arena {}", offset, planned, memory_id);
  }
  slot.mutable_data = arenas[memory_id].data() + offset;
  if (planned != slot.size) {
    wide_buffers.push_back(TRY(ArenaMemory::allocate(slot.size)));
    slot.mutable_data = wide_buffers.back().data();
  }
  slot.data = slot.mutable_data;
  return {};
}

Status Method::Impl::match(int32_t value, const TensorType& type, bool is_input) const {
  const Slot& slot = slots[static_cast<size_t>(value)];
  if (!slot.is_tensor) return invalid_data("value {} is no tensor", value);
  if (!can_pass(is_input ? slot.type : type, is_input ? type : slot.type)) {
    return invalid_data("value {} is {} in the program, {} in the model", value,
                        to_string(slot.type), to_string(type));
  }
  return {};
}

Status Method::Impl::add_call(const pte::Method& method, const pte::DelegateCall& call,
                              DelegateCache& delegates, std::vector<bool>& ready) {
  const pte::Delegate& delegate = method.delegates[static_cast<size_t>(call.delegate)];
  std::vector<engine::TokenAxis> axes;  // of the arguments
  for (const int32_t value : call.args) axes.push_back(token_axes[static_cast<size_t>(value)]);
  const CompiledFunction function = TRY(delegates.compile(delegate, name, axes));
  DelegateCall created = TRY(DelegateCall::create(function));
  Call added{std::move(created), false};
  CallValues values;
  const size_t inputs = added.delegate.input_count(), outputs = added.delegate.output_count();
  if (call.args.size() != inputs + outputs) {
    return invalid_data("the call has {} arguments, the model {} inputs and {} outputs",
                        call.args.size(), inputs, outputs);
  }
  for (size_t i = 0; i < inputs; ++i) {
    const int32_t value = call.args[i];
    const engine::Port& port = added.delegate.input(i);
    if (!ready[static_cast<size_t>(value)]) {
      return invalid_data("input {} (value {}) is read before it is written", port.name, value);
    }
    TRY(within("input " + port.name, match(value, port.type, true)));
    values.inputs.push_back(static_cast<size_t>(value));
  }
  for (size_t i = 0; i < outputs; ++i) {
    const int32_t value = call.args[inputs + i];
    const engine::Port& port = added.delegate.output(i);
    const Slot& slot = slots[static_cast<size_t>(value)];
    if (slot.data != nullptr && slot.mutable_data == nullptr) {
      return invalid_data("output {} would overwrite constant value {}", port.name, value);
    }
    if (std::find(input_values.begin(), input_values.end(), value) != input_values.end()) {
      return invalid_data("output {} would overwrite method input {}", port.name, value);
    }
    TRY(within("output " + port.name, match(value, port.type, false)));
    values.outputs.push_back(static_cast<size_t>(value));
    token_axes[static_cast<size_t>(value)] = port.token_axis;
    ready[static_cast<size_t>(value)] = true;
  }
  calls.push_back(std::move(added));
  call_values.push_back(std::move(values));
  return {};
}

Status Method::Impl::bind_call(size_t index) {
  Call& call = calls[index];
  const CallValues& values = call_values[index];
  for (size_t i = 0; i < values.inputs.size(); ++i) {
    const Slot& slot = slots[values.inputs[i]];
    TRY(call.delegate.bind_input(i, slot.type, {slot.data, slot.size}));
  }
  for (size_t i = 0; i < values.outputs.size(); ++i) {
    const Slot& slot = slots[values.outputs[i]];
    TRY(call.delegate.bind_output(i, slot.type, {slot.mutable_data, slot.size}));
  }
  call.bound = true;
  return {};
}

void Method::Impl::mark_needed_calls() {
  needed_values.assign(slots.size(), false);
  for (size_t i = 0; i < output_values.size(); ++i) {
    if (wanted_outputs[i]) needed_values[static_cast<size_t>(output_values[i])] = true;
  }
  mark_needed(call_values, needed_values, needed_calls);
}

Status Method::Impl::check_bound() const {
  for (size_t i = 0; i < input_values.size(); ++i) {
    if (slots[static_cast<size_t>(input_values[i])].data == nullptr) {
      return invalid_argument("input {} is not bound", i);
    }
  }
  for (size_t i = 0; i < output_values.size(); ++i) {
    const auto passed = std::find_if(pass_throughs.begin(), pass_throughs.end(),
                                     [i](const PassThrough& p) { return p.output == i; });
    const bool bound = passed != pass_throughs.end()
                           ? passed->to != nullptr
                           : slots[static_cast<size_t>(output_values[i])].mutable_data != nullptr;
    if (!bound) return invalid_argument("output {} is not bound", i);
  }
  return {};
}

Method::Method(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Method::~Method() = default;

const std::string& Method::name() const { return impl_->name; }
const std::vector<TensorType>& Method::inputs() const { return impl_->signature.inputs; }
const std::vector<TensorType>& Method::outputs() const { return impl_->signature.outputs; }

Status Method::bind_input(size_t index, Bytes data) {
  if (index >= impl_->input_values.size()) return invalid_argument("there is no input {}", index);
  Impl::Slot& slot = impl_->slots[static_cast<size_t>(impl_->input_values[index])];
  if (data.size() != slot.size) {
    return invalid_argument("input {} is {}: expected {} bytes, found {}", index,
                            to_string(slot.type), slot.size, data.size());
  }
  slot.data = data.data();
  const auto value = static_cast<size_t>(impl_->input_values[index]);
  for (size_t i = 0; i < impl_->calls.size(); ++i) {
    const std::vector<size_t>& taken = impl_->call_values[i].inputs;
    if (std::find(taken.begin(), taken.end(), value) == taken.end()) continue;
    impl_->calls[i].bound = false;
  }
  return {};
}

Status Method::bind_output(size_t index, MutableBytes data) {
  if (index >= impl_->output_values.size()) return invalid_argument("there is no output {}", index);
  Impl::Slot& slot = impl_->slots[static_cast<size_t>(impl_->output_values[index])];
  if (data.size() != slot.size) {
    return invalid_argument("output {} is {}: expected {} bytes, found {}", index,
                            to_string(slot.type), slot.size, data.size());
  }
  for (Impl::PassThrough& passed : impl_->pass_throughs) {
    if (passed.output == index) {
      passed.to = data.data();
      return {};
    }
  }
  slot.data = slot.mutable_data = data.data();
  for (Impl::Call& call : impl_->calls) call.bound = false;
  return {};
}

void Method::observe(engine::RunObserver* observer) { impl_->observer = observer; }

Status Method::want_output(size_t index, bool wanted) {
  if (index >= impl_->output_values.size()) return invalid_argument("there is no output {}", index);
  if (impl_->wanted_outputs[index] == wanted) return {};
  impl_->wanted_outputs[index] = wanted;
  impl_->mark_needed_calls();
  return {};
}

Status Method::limit_tokens(int64_t live) {
  if (!impl_->counts_tokens) return invalid_argument("no input that counts tokens is known");
  if (live < 1) return invalid_argument("expected 1 token or more, found {}", live);
  for (Impl::Call& call : impl_->calls) call.delegate.limit_tokens(live);
  return {};
}

std::vector<const engine::Executable*> Method::functions() const {
  std::vector<const engine::Executable*> functions;
  for (size_t i = 0; i < impl_->calls.size(); ++i) {
    if (impl_->needed_calls[i]) functions.push_back(&impl_->calls[i].delegate.executable());
  }
  return functions;
}

void Method::Impl::copy_pass_throughs() const {
  for (const PassThrough& passed : pass_throughs) {
    const Slot& slot = slots[passed.value];
    std::memmove(passed.to, slot.data, slot.size);
  }
}

Status Method::execute() {
  Method* const self = this;
  return execute_together({&self, 1});
}

Status Method::execute_together(std::span<Method* const> methods) {
  if (methods.empty()) return {};
  Impl& lead = *methods.front()->impl_;
  for (const Method* method : methods) {
    if (method->impl_->program != lead.program || method->impl_->name != lead.name) {
      return invalid_argument("{} and {} are no instances of one method", lead.name,
                              method->impl_->name);
    }
    TRY(method->impl_->check_bound());
  }
  std::vector<DelegateCall*>& together = lead.together;
  for (size_t i = 0; i < lead.calls.size(); ++i) {
    if (!lead.needed_calls[i]) continue;
    together.clear();
    Status status;
    for (const Method* method : methods) {
      Impl::Call& call = method->impl_->calls[i];
      if (status && !call.bound) status = method->impl_->bind_call(i);
      together.push_back(&call.delegate);
    }
    if (status) {
      status =
          DelegateCall::run_together(together, lead.program->threads(), lead.joint, lead.observer);
    }
    if (!status) {
      return within(fmt::format("method {}, partition {}", lead.name, i), std::move(status));
    }
  }
  for (const Method* method : methods) method->impl_->copy_pass_throughs();
  return {};
}

engine::Overflows Method::overflows() const {
  engine::Overflows total;
  for (const Impl::Call& call : impl_->calls) total += call.delegate.overflows();
  return total;
}

}  // namespace diptych::runtime
