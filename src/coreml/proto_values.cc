#include "coreml/proto_values.h"

#include <cstring>
#include <limits>
#include <protozero/pbf_writer.hpp>

#include "coreml/weight_file.h"

namespace diptych::coreml {

namespace {

using protozero::pbf_writer;

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

// The elements in `packed`, each of type T, as the numbers of a list.
template <class T>
std::vector<T> unpack(Bytes packed) {
  std::vector<T> list(packed.size() / sizeof(T));
  if (!list.empty()) std::memcpy(list.data(), packed.data(), list.size() * sizeof(T));
  return list;
}

tl::unexpected<Error> wrong_field(const TensorType& type) {
  return invalid_data("the elements of {} are not in the field for their type", to_string(type));
}

}  // namespace

Result<WeightRef> read_immediate(const proto::ImmediateValue& value, const TensorType& type) {
  if (value.value != proto::ImmediateValue::kTensor) {
    return unsupported("an immediate value that is not a tensor");
  }
  using Elements = proto::TensorValue;
  std::vector<std::byte> packed;
  // Packs the alternative `List` as elements of type T.
  const auto pack_as = [&]<class T, class List>() -> Status {
    const List* list = std::get_if<List>(&value.tensor.value);
    if (list == nullptr) return wrong_field(type);
    return pack<T>(*list, packed);
  };
  switch (type.dtype) {
    case DType::String:
      return invalid_data("expected numbers, found text");
    case DType::F32:
      TRY((pack_as.operator()<float, Elements::Floats>()));
      break;
    case DType::F64:
      TRY((pack_as.operator()<double, Elements::Doubles>()));
      break;
    case DType::Bool:
      TRY((pack_as.operator()<uint8_t, Elements::Bools>()));
      break;
    case DType::Int32:
      TRY((pack_as.operator()<int32_t, Elements::Ints>()));
      break;
    case DType::Int16:
      TRY((pack_as.operator()<int16_t, Elements::Ints>()));
      break;
    case DType::UInt16:
      TRY((pack_as.operator()<uint16_t, Elements::Ints>()));
      break;
    case DType::Int64:
    case DType::UInt64:
      TRY((pack_as.operator()<int64_t, Elements::LongInts>()));
      break;
    default:
      TRY((pack_as.operator()<char, Elements::Raw>()));
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
  const auto* strings = std::get_if<proto::TensorValue::Strings>(&value.tensor.value);
  if (strings == nullptr || strings->size() != 1) return invalid_data("expected one string");
  return std::string(strings->front());
}

Status write_immediate(const WeightRef& weight, pbf_writer out) {
  using Elements = proto::TensorValue;
  const auto packed = TRY(read_all(*packed_source(weight)));
  write_type(weight->type(), pbf_writer(out, proto::Value::kType));
  pbf_writer immediate(out, proto::Value::kImmediate);
  pbf_writer tensor(immediate, proto::ImmediateValue::kTensor);
  // Writes `packed` as elements of type T with the writer's function `add`.
  const auto write_as = [&]<class T>(Elements::Field field, auto add) {
    const std::vector<T> list = unpack<T>(packed);
    if (list.empty()) {
      tensor.add_message(field, "", 0);  // a nested writer would leave it out
    } else {
      pbf_writer elements(tensor, field);
      add(elements, list);
    }
  };
  const auto ints = [](pbf_writer& elements, const auto& list) {
    elements.add_packed_int32(Elements::kValues, list.begin(), list.end());
  };
  const auto long_ints = [](pbf_writer& elements, const auto& list) {
    elements.add_packed_int64(Elements::kValues, list.begin(), list.end());
  };
  switch (weight->dtype()) {
    case DType::F32:
      write_as.operator()<float>(Elements::kFloats, [](pbf_writer& elements, const auto& list) {
        elements.add_packed_float(Elements::kValues, list.begin(), list.end());
      });
      break;
    case DType::F64:
      write_as.operator()<double>(Elements::kDoubles, [](pbf_writer& elements, const auto& list) {
        elements.add_packed_double(Elements::kValues, list.begin(), list.end());
      });
      break;
    case DType::Bool:
      write_as.operator()<uint8_t>(Elements::kBools, [](pbf_writer& elements, const auto& list) {
        elements.add_packed_bool(Elements::kValues, list.begin(), list.end());
      });
      break;
    case DType::Int32:
      write_as.operator()<int32_t>(Elements::kInts, ints);
      break;
    case DType::Int16:
      write_as.operator()<int16_t>(Elements::kInts, ints);
      break;
    case DType::UInt16:
      write_as.operator()<uint16_t>(Elements::kInts, ints);
      break;
    case DType::Int64:
    case DType::UInt64:
      write_as.operator()<int64_t>(Elements::kLongInts, long_ints);
      break;
    default: {
      pbf_writer raw(tensor, Elements::kRaw);
      raw.add_bytes(Elements::kValues, reinterpret_cast<const char*>(packed.data()), packed.size());
    }
  }
  return {};
}

void write_string(std::string_view text, pbf_writer out) {
  write_type({DType::String, {}}, pbf_writer(out, proto::Value::kType));
  pbf_writer immediate(out, proto::Value::kImmediate);
  pbf_writer tensor(immediate, proto::ImmediateValue::kTensor);
  pbf_writer strings(tensor, proto::TensorValue::kStrings);
  strings.add_string(proto::TensorValue::kValues, text.data(), text.size());
}

void write_blob(const TensorType& type, uint64_t record_offset, pbf_writer out) {
  write_type(type, pbf_writer(out, proto::Value::kType));
  pbf_writer blob(out, proto::Value::kBlobFile);
  blob.add_string(proto::BlobFileValue::kFileName, kWeightFileName.data(), kWeightFileName.size());
  blob.add_uint64(proto::BlobFileValue::kOffset, record_offset);
}

bool belongs_in_weight_file(const Weight& weight) {
  return weight.elements() >= kMinWeightFileElements && storage_code(weight.dtype()).has_value();
}

}  // namespace diptych::coreml
