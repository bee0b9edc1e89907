#include "coreml/proto_values.h"

#include <limits>

#include "coreml/proto_types.h"
#include "coreml/weight_file.h"

namespace diptych::coreml {

namespace {

// Upstream keeps smaller constants in the model (coremltools, backend/mil/load.py).
constexpr uint64_t kMinWeightFileElements = 10;

// Appends the elements of a list to `packed` as type T; each must fit.
template <class T, class List>
Status pack(const List& values, std::vector<std::byte>& packed) {
  for (const auto value : values) {
    const T element = static_cast<T>(value);
    if constexpr (std::numeric_limits<T>::is_integer) {
      if (static_cast<int64_t>(element) != static_cast<int64_t>(value)) {
        return invalid_data("element {} does not fit its type", value);
      }
    }
    const auto bytes = std::as_bytes(std::span(&element, 1));
    packed.insert(packed.end(), bytes.begin(), bytes.end());
  }
  return {};
}

// Appends the elements of type T in `packed` to a list.
template <class T, class List>
void unpack(Bytes packed, List* list) {
  for (size_t at = 0; at < packed.size(); at += sizeof(T)) {
    list->add_values(load<T>(packed.data() + at));
  }
}

tl::unexpected<Error> wrong_field(const TensorType& type) {
  return invalid_data("the elements of {} are not in the field for their type", to_string(type));
}

}  // namespace

Result<WeightRef> read_immediate(const proto::ImmediateValue& value, const TensorType& type) {
  if (!value.has_tensor()) return unsupported("an immediate value that is not a tensor");
  const proto::TensorValue& tensor = value.tensor();
  std::vector<std::byte> packed;
  switch (type.dtype) {
    case DType::String:
      return invalid_data("expected numbers, found text");
    case DType::F32:
      if (!tensor.has_floats()) return wrong_field(type);
      TRY(pack<float>(tensor.floats().values(), packed));
      break;
    case DType::F64:
      if (!tensor.has_doubles()) return wrong_field(type);
      TRY(pack<double>(tensor.doubles().values(), packed));
      break;
    case DType::Bool:
      if (!tensor.has_bools()) return wrong_field(type);
      TRY(pack<uint8_t>(tensor.bools().values(), packed));
      break;
    case DType::Int32:
      if (!tensor.has_ints()) return wrong_field(type);
      TRY(pack<int32_t>(tensor.ints().values(), packed));
      break;
    case DType::Int16:
      if (!tensor.has_ints()) return wrong_field(type);
      TRY(pack<int16_t>(tensor.ints().values(), packed));
      break;
    case DType::UInt16:
      if (!tensor.has_ints()) return wrong_field(type);
      TRY(pack<uint16_t>(tensor.ints().values(), packed));
      break;
    case DType::Int64:
    case DType::UInt64:
      if (!tensor.has_long_ints()) return wrong_field(type);
      TRY(pack<int64_t>(tensor.long_ints().values(), packed));
      break;
    default: {
      if (!tensor.has_raw()) return wrong_field(type);
      const Bytes raw = as_bytes(tensor.raw().values());
      packed.assign(raw.begin(), raw.end());
    }
  }
  const uint64_t expected = TRY(packed_size(type));
  if (packed.size() != expected) {
    return invalid_data("{} needs {} bytes of elements, found {}", to_string(type), expected,
                        packed.size());
  }
  return memory_weight(type, std::move(packed));
}

Result<std::string> read_immediate_string(const proto::ImmediateValue& value,
                                          const TensorType& type) {
  if (!type.shape.empty()) return unsupported("a list of strings, {}", to_string(type));
  if (!value.tensor().has_strings() || value.tensor().strings().values_size() != 1) {
    return invalid_data("expected one string");
  }
  return value.tensor().strings().values(0);
}

Status write_immediate(const WeightRef& weight, proto::Value* out) {
  const auto packed = TRY(read_all(*packed_source(weight)));
  write_type(weight->type(), out->mutable_type());
  proto::TensorValue* tensor = out->mutable_immediate()->mutable_tensor();
  switch (weight->dtype()) {
    case DType::F32:
      unpack<float>(packed, tensor->mutable_floats());
      break;
    case DType::F64:
      unpack<double>(packed, tensor->mutable_doubles());
      break;
    case DType::Bool:
      unpack<uint8_t>(packed, tensor->mutable_bools());
      break;
    case DType::Int32:
      unpack<int32_t>(packed, tensor->mutable_ints());
      break;
    case DType::Int16:
      unpack<int16_t>(packed, tensor->mutable_ints());
      break;
    case DType::UInt16:
      unpack<uint16_t>(packed, tensor->mutable_ints());
      break;
    case DType::Int64:
    case DType::UInt64:
      unpack<int64_t>(packed, tensor->mutable_long_ints());
      break;
    default:
      tensor->mutable_raw()->set_values(packed.data(), packed.size());
  }
  return {};
}

void write_string(std::string_view text, proto::Value* out) {
  write_type({DType::String, {}}, out->mutable_type());
  out->mutable_immediate()->mutable_tensor()->mutable_strings()->add_values(std::string(text));
}

void write_blob(const TensorType& type, uint64_t record_offset, proto::Value* out) {
  write_type(type, out->mutable_type());
  out->mutable_blob_file()->set_file_name(std::string(kWeightFileName));
  out->mutable_blob_file()->set_offset(record_offset);
}

bool belongs_in_weight_file(const Weight& weight) {
  return weight.elements() >= kMinWeightFileElements && storage_code(weight.dtype()).has_value();
}

}  // namespace diptych::coreml
