#include "pte/constant_method.h"

#include "base/json_fwd.h"
#include "pte/tree_spec.h"

namespace diptych::pte {

namespace {

template <class T>
std::vector<int64_t> widen(Bytes bytes) {
  std::vector<int64_t> items;
  for (uint64_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    items.push_back(load<T>(&bytes[at]));
  }
  return items;
}

Result<ConstantValue> constant_tensor(const Program& program, const Tensor& tensor) {
  if (!tensor.is_constant()) return invalid_data("a tensor without data in the file");
  ConstantTensor result;
  result.type = TRY(tensor_type(tensor));
  const uint64_t size = TRY(packed_size(result.type));
  const Blob& blob = program.constants[tensor.data];
  if (!blob.in_memory()) return invalid_argument("the constant is not in memory");
  result.bytes = TRY(slice(blob.bytes(), 0, size, "constant tensor"));
  return result;
}

}  // namespace

Method constant_method(std::string name, EValue value) {
  Method method;
  method.name = std::move(name);
  method.output_spec = to_json(TreeSpec::leaf());
  method.values.push_back(std::move(value));
  method.outputs = {0};
  return method;
}

Result<Method> constant_tensor_method(Program& program, std::string name, const TensorType& type,
                                      std::vector<std::byte> bytes) {
  Tensor tensor = TRY(make_tensor(type));
  const uint64_t expected = TRY(packed_size(type));
  if (bytes.size() != expected) {
    return invalid_argument("constant '{}': {} takes {} bytes, {} were given", name,
                            to_string(type), expected, bytes.size());
  }
  tensor.data = add_constant(program, Blob::own(std::move(bytes)));
  return constant_method(std::move(name), std::move(tensor));
}

Result<Method> constant_ints_method(Program& program, std::string name,
                                    std::span<const int64_t> items) {
  const Bytes bytes = std::as_bytes(items);
  return constant_tensor_method(program, std::move(name),
                                {DType::Int64, {static_cast<int64_t>(items.size())}},
                                {bytes.begin(), bytes.end()});
}

Status set_constant_method(Program& program, Method method) {
  for (Method& known : program.methods) {
    if (known.name != method.name) continue;
    if (!is_constant_method(known)) {
      return invalid_argument("method '{}' computes something, it is no constant", known.name);
    }
    known = std::move(method);
    return {};
  }
  program.methods.push_back(std::move(method));
  return {};
}

bool is_constant_method(const Method& method) {
  return method.inputs.empty() && method.instructions.empty() && !method.outputs.empty();
}

Result<std::vector<ConstantValue>> constant_values(const Program& program, const Method& method) {
  std::vector<ConstantValue> values;
  if (!is_constant_method(method)) {
    return invalid_argument("method '{}' is not a constant; it must be run", method.name);
  }
  for (const int32_t index : method.outputs) {
    const EValue& value = method.values[static_cast<size_t>(index)];
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      values.emplace_back(*integer);
    } else if (const auto* boolean = std::get_if<bool>(&value)) {
      values.emplace_back(*boolean);
    } else if (const auto* number = std::get_if<double>(&value)) {
      values.emplace_back(*number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      values.emplace_back(*text);
    } else if (const auto* tensor = std::get_if<Tensor>(&value)) {
      values.push_back(TRY(within(fmt::format("constant method '{}'", method.name),
                                  constant_tensor(program, *tensor))));
    } else {
      return unsupported("constant method '{}': output {} is a list or nothing", method.name,
                         values.size());
    }
  }
  return values;
}

Result<ConstantValue> constant_value(const Program& program, std::string_view name) {
  const Method* method = find_method(program, name);
  if (method == nullptr) return not_found("the program has no method '{}'", name);
  auto values = TRY(constant_values(program, *method));
  if (values.size() != 1) {
    return invalid_data("constant method '{}': expected one value, found {}", name, values.size());
  }
  return std::move(values[0]);
}

Result<int64_t> constant_int(const Program& program, std::string_view name) {
  const auto ints = TRY(constant_ints(program, name));
  if (ints.size() != 1) {
    return invalid_data("constant method '{}': expected one integer, found {}", name, ints.size());
  }
  return ints[0];
}

Result<std::vector<int64_t>> constant_ints(const Program& program, std::string_view name) {
  const auto value = TRY(constant_value(program, name));
  if (const auto* integer = std::get_if<int64_t>(&value)) return std::vector{*integer};
  if (const auto* tensor = std::get_if<ConstantTensor>(&value)) {
    return within(fmt::format("constant method '{}'", name), to_ints(*tensor));
  }
  return invalid_data("constant method '{}': expected integers, found {}", name, to_string(value));
}

Result<std::vector<int64_t>> to_ints(const ConstantTensor& tensor) {
  switch (tensor.type.dtype) {
    case DType::Bool:
    case DType::UInt8:
      return widen<uint8_t>(tensor.bytes);
    case DType::Int8:
      return widen<int8_t>(tensor.bytes);
    case DType::Int16:
      return widen<int16_t>(tensor.bytes);
    case DType::Int32:
      return widen<int32_t>(tensor.bytes);
    case DType::Int64:
      return widen<int64_t>(tensor.bytes);
    default:
      return invalid_data("expected a tensor of integers, found {}", to_string(tensor.type));
  }
}

std::string to_string(const ConstantValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* boolean = std::get_if<bool>(&value)) return fmt::format("{}", *boolean);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* text = std::get_if<std::string>(&value)) return json_quoted(*text);
  return to_string(std::get<ConstantTensor>(value).type);
}

}  // namespace diptych::pte
