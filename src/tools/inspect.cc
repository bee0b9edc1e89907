#include "tools/inspect.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/file.h"
#include "base/json.h"
#include "coreml/package.h"
#include "pte/constant_method.h"
#include "pte/reader.h"
#include "runtime/coreml_payload.h"
#include "tools/summarise.h"

namespace diptych::tools {

namespace {

ValueType type_of(const pte::None&) { return {"none", {}}; }
ValueType type_of(int64_t) { return {"int", {}}; }
ValueType type_of(bool) { return {"bool", {}}; }
ValueType type_of(double) { return {"double", {}}; }
ValueType type_of(const std::string&) { return {"string", {}}; }
ValueType type_of(const pte::IntList&) { return {"int list", {}}; }
ValueType type_of(const pte::DoubleList&) { return {"double list", {}}; }
ValueType type_of(const pte::BoolList&) { return {"bool list", {}}; }
ValueType type_of(const pte::TensorList&) { return {"tensor list", {}}; }
ValueType type_of(const pte::OptionalTensorList&) { return {"optional tensor list", {}}; }
ValueType type_of(const pte::Tensor& tensor) {
  return {std::string(name(tensor.scalar_type)), tensor.sizes,
          tensor.dynamism != pte::ShapeDynamism::Static};
}
ValueType type_of(const pte::ConstantTensor& tensor) { return tools::type_of(tensor.type); }

Port port_of(const pte::Method& method, int32_t index) {
  const pte::EValue& value = method.values[static_cast<size_t>(index)];
  return {index, {}, std::visit([](const auto& v) { return type_of(v); }, value)};
}

Result<Package> read_package(const runtime::CoremlPayload& payload,
                             std::shared_ptr<const void> owner) {
  Package package;
  if (payload.reference) package.key = payload.reference->key;
  package.bytes = payload.blob.size();
  auto model = coreml::read_delegate(payload.blob, std::move(owner));
  if (!model) {
    if (model.error().code != ErrorCode::Unsupported) return tl::unexpected(model.error());
    package.unreadable = model.error().to_string();
    return package;
  }
  package.model = std::make_shared<const coreml::DelegateModel>(std::move(*model));
  summarise_functions(payload.blob, package);
  return package;
}

// --- Methods ---

// Builds an Inspection of one program.
class Inspector {
 public:
  Inspector(const pte::Program& program, std::shared_ptr<const void> owner)
      : program_(program), owner_(std::move(owner)) {}

  Result<Inspection> inspect() {
    result_.layout = program_.layout;
    for (const pte::NamedData& entry : program_.named_data) {
      result_.named_data.push_back({entry.key, entry.data.size()});
    }
    for (const pte::Method& method : program_.methods) {
      if (pte::is_constant_method(method)) {
        TRY(add_metadata(method));
      } else {
        TRY(add_method(method));
      }
    }
    return std::move(result_);
  }

 private:
  Status add_method(const pte::Method& method) {
    MethodSummary summary;
    summary.name = method.name;
    summary.arena_bytes = method.arena_sizes;
    for (const int32_t input : method.inputs) summary.inputs.push_back(port_of(method, input));
    for (const int32_t output : method.outputs) summary.outputs.push_back(port_of(method, output));
    for (const pte::Operator& op : method.operators) {
      summary.operators.push_back({op.name + (op.overload.empty() ? "" : "." + op.overload)});
    }
    const std::vector<const pte::DelegateCall*> calls = count_instructions(method, summary);
    for (size_t i = 0; i < method.delegates.size(); ++i) {
      summary.partitions.push_back(
          TRY(within(runtime::partition_place(method, i), partition(method, i, calls[i]))));
    }
    name_ports(summary);
    result_.methods.push_back(std::move(summary));
    return {};
  }

  // Also gives the first call of every delegate, null for one that is not called.
  static std::vector<const pte::DelegateCall*> count_instructions(const pte::Method& method,
                                                                  MethodSummary& summary) {
    std::vector<const pte::DelegateCall*> calls(method.delegates.size());
    MethodSummary::InstructionCounts& counts = summary.instructions;
    for (const pte::Instruction& instruction : method.instructions) {
      if (const auto* kernel = std::get_if<pte::KernelCall>(&instruction)) {
        ++counts.kernel_calls;
        ++summary.operators[static_cast<size_t>(kernel->op)].calls;
      } else if (const auto* delegate = std::get_if<pte::DelegateCall>(&instruction)) {
        ++counts.delegate_calls;
        auto& first = calls[static_cast<size_t>(delegate->delegate)];
        if (first == nullptr) first = delegate;
      } else if (std::holds_alternative<pte::MoveCall>(instruction)) {
        ++counts.moves;
      } else if (std::holds_alternative<pte::JumpFalseCall>(instruction)) {
        ++counts.jumps;
      } else {
        ++counts.frees;
      }
    }
    return calls;
  }

  Result<Partition> partition(const pte::Method& method, size_t index,
                              const pte::DelegateCall* call) {
    const pte::Delegate& delegate = method.delegates[index];
    Partition result;
    result.index = index;
    result.backend = delegate.backend;
    result.compile_specs = delegate.compile_specs;
    result.payload_bytes = delegate.processed.size();
    if (call != nullptr) {
      for (const int32_t arg : call->args) result.arguments.push_back(port_of(method, arg));
    }
    if (delegate.backend != coreml::kBackendId) return result;

    const runtime::CoremlPayload payload = TRY(runtime::coreml_payload(program_, delegate));
    result.payload = payload.reference ? Partition::Payload::Reference : Partition::Payload::Legacy;
    result.package = TRY(package_at(payload));
    const Package& package = result_.packages[*result.package];
    if (package.model == nullptr) return result;
    const coreml::DelegateFunction function = TRY(coreml::resolve_function(
        *package.model, method.name, payload.reference ? &*payload.reference : nullptr));
    result.function = function.function;
    if (call != nullptr) TRY(split_arguments(function, result));
    return result;
  }

  // Divides the arguments of a call into inputs and outputs and names them.
  static Status split_arguments(const coreml::DelegateFunction& function, Partition& partition) {
    const size_t inputs = function.inputs.size(), outputs = function.outputs.size();
    if (partition.arguments.size() != inputs + outputs) {
      return invalid_data("the call has {} arguments, the model takes {} inputs and {} outputs",
                          partition.arguments.size(), inputs, outputs);
    }
    for (size_t i = 0; i < inputs + outputs; ++i) {
      const bool is_input = i < inputs;
      Port& port = partition.arguments[i];
      port.name = is_input ? function.inputs[i]->name : function.outputs[i - inputs]->name;
      (is_input ? partition.inputs : partition.outputs).push_back(std::move(port));
    }
    partition.arguments.clear();
    return {};
  }

  // The index of the package in a blob.
  Result<size_t> package_at(const runtime::CoremlPayload& payload) {
    const auto known = package_of_.find(payload.blob.data());
    if (known != package_of_.end()) return known->second;
    result_.packages.push_back(TRY(read_package(payload, owner_)));
    package_of_.emplace(payload.blob.data(), result_.packages.size() - 1);
    return result_.packages.size() - 1;
  }

  // A method's input is called as where it goes first, an output as where it comes from.
  static void name_ports(MethodSummary& method) {
    std::unordered_map<int32_t, std::string_view> consumed, produced;
    for (const Partition& partition : method.partitions) {
      for (const Port& port : partition.inputs) consumed.emplace(port.value, port.name);
      for (const Port& port : partition.outputs) produced[port.value] = port.name;
    }
    const auto name_all = [](std::vector<Port>& ports, const auto& names) {
      for (Port& port : ports) {
        const auto found = names.find(port.value);
        if (found != names.end()) port.name = found->second;
      }
    };
    name_all(method.inputs, consumed);
    name_all(method.outputs, produced);
  }

  Status add_metadata(const pte::Method& method);

  const pte::Program& program_;
  std::shared_ptr<const void> owner_;
  Inspection result_;
  std::unordered_map<const std::byte*, size_t> package_of_;
};

// --- Metadata ---

// Nesting beyond this is not shown.
constexpr int64_t kMostAxes = 8;

Json number(double value) {
  if (std::isfinite(value)) return value;
  return fmt::format("{}", value);
}

// The values of a tensor from `next` on, as nested lists of the given shape.
Json nested(const std::vector<Json>& values, const Shape& shape, size_t axis, size_t& next) {
  if (axis == shape.size()) return values[next++];
  Json list = Json::array();
  for (int64_t i = 0; i < shape[axis]; ++i) list.push_back(nested(values, shape, axis + 1, next));
  return list;
}

Result<Json> tensor_value(const pte::ConstantTensor& tensor) {
  std::vector<Json> values;
  const WeightRef weight = TRY(mapped_weight(tensor.type, tensor.bytes, nullptr));
  if (is_float(tensor.type.dtype)) {
    for (const float value : TRY(read_floats(*weight))) values.push_back(number(value));
  } else {
    for (const int64_t value : TRY(read_ints(*weight))) {
      values.push_back(tensor.type.dtype == DType::Bool ? Json(value != 0) : Json(value));
    }
  }
  size_t next = 0;
  return nested(values, tensor.type.shape, 0, next);
}

// Narrower floats are for weights only.
bool has_numbers(DType dtype) {
  return dtype == DType::Bool || is_integer(dtype) || (is_float(dtype) && bit_width(dtype) >= 16);
}

// The value; null when it is too large or has no numbers.
Result<std::shared_ptr<const Json>> value_of(const pte::ConstantTensor& tensor) {
  const uint64_t count = TRY(element_count(tensor.type.shape));
  if (count == 0 || count > kMostValues || tensor.type.rank() > kMostAxes ||
      !has_numbers(tensor.type.dtype)) {
    return nullptr;
  }
  return std::make_shared<const Json>(TRY(tensor_value(tensor)));
}
Result<std::shared_ptr<const Json>> value_of(double value) {
  return std::make_shared<const Json>(number(value));
}
template <class T>
Result<std::shared_ptr<const Json>> value_of(const T& value) {
  return std::make_shared<const Json>(value);
}

Status Inspector::add_metadata(const pte::Method& method) {
  const auto values = pte::constant_values(program_, method);
  if (!values) {
    if (values.error().code != ErrorCode::Unsupported) return tl::unexpected(values.error());
    // Lists and the like: their types are all there is to say.
    for (const int32_t output : method.outputs) {
      result_.metadata.push_back({method.name, port_of(method, output).type, {}});
    }
    return {};
  }
  for (const pte::ConstantValue& value : *values) {
    auto json = TRY(within("constant method " + method.name,
                           std::visit([](const auto& v) { return value_of(v); }, value)));
    result_.metadata.push_back({method.name,
                                std::visit([](const auto& v) { return type_of(v); }, value),
                                std::move(json)});
  }
  return {};
}

}  // namespace

std::string ValueType::text() const {
  std::string text = dtype;
  if (shape && !shape->empty()) text += to_string(*shape);
  return dynamic ? text + " dynamic" : text;
}

std::string_view name(Partition::Payload payload) {
  switch (payload) {
    case Partition::Payload::Legacy:
      return "legacy";
    case Partition::Payload::Reference:
      return "reference";
    case Partition::Payload::Opaque:
      break;
  }
  return "opaque";
}

Result<Inspection> inspect(Bytes file, std::shared_ptr<const void> owner) {
  return inspect(TRY(pte::read(file)), std::move(owner));
}

Result<Inspection> inspect(const pte::Program& program, std::shared_ptr<const void> owner) {
  return Inspector(program, std::move(owner)).inspect();
}

Result<Inspection> inspect(const std::string& path) {
  if (coreml::is_model_path(path)) {
    Inspection inspection;
    inspection.is_model = true;
    inspection.packages.push_back(TRY(inspect_model(path)));
    inspection.layout.file_size = inspection.packages.front().bytes;
    return inspection;
  }
  auto file = TRY(MappedFile::open(path));
  return within(path, inspect(file->bytes(), file));
}

}  // namespace diptych::tools
