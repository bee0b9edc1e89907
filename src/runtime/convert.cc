#include "runtime/convert.h"

namespace diptych::runtime {

namespace {

Shape as_passed(const Shape& shape) { return shape.empty() ? Shape{1} : shape; }

bool is_whole_byte_integer(DType dtype) {
  return dtype == DType::Bool ||
         (is_integer(dtype) && !is_sub_byte(dtype) && dtype != DType::UInt64);
}

int64_t load_integer(const std::byte* at, DType dtype) {
  switch (dtype) {
    case DType::Bool:
      return *at != std::byte{0};
    case DType::Int8:
      return load<int8_t>(at);
    case DType::UInt8:
      return load<uint8_t>(at);
    case DType::Int16:
      return load<int16_t>(at);
    case DType::UInt16:
      return load<uint16_t>(at);
    case DType::Int32:
      return load<int32_t>(at);
    case DType::UInt32:
      return load<uint32_t>(at);
    default:
      return load<int64_t>(at);
  }
}

bool convertible(DType from, DType to) {
  if (from == to) return true;
  if (is_whole_byte_integer(from) && is_whole_byte_integer(to)) {
    return from == DType::Int32 || to == DType::Int32;
  }
  return (from == DType::F64 && to == DType::F32) || (from == DType::F32 && to == DType::F64);
}

Status convert_integers(Bytes from, DType from_type, MutableBytes to, DType to_type) {
  const auto from_width = static_cast<size_t>(bit_width(from_type)) / 8;
  const auto to_width = static_cast<size_t>(bit_width(to_type)) / 8;
  for (size_t i = 0; i * from_width < from.size(); ++i) {
    const int64_t value = load_integer(&from[i * from_width], from_type);
    std::memcpy(&to[i * to_width], &value, to_width);
    if (load_integer(&to[i * to_width], to_type) != value) {
      return invalid_argument("element {} is {}, which does not fit {}", i, value, name(to_type));
    }
  }
  return {};
}

}  // namespace

bool can_pass(const TensorType& from, const TensorType& to) {
  return as_passed(from.shape) == as_passed(to.shape) && convertible(from.dtype, to.dtype);
}

Status convert(Bytes from, DType from_type, MutableBytes to, DType to_type) {
  if (from_type == DType::F64) {
    for (size_t i = 0; i < from.size() / 8; ++i) {
      store(&to[4 * i], static_cast<float>(load<double>(&from[8 * i])));
    }
    return {};
  }
  if (from_type == DType::F32) {
    for (size_t i = 0; i < from.size() / 4; ++i) {
      store(&to[8 * i], static_cast<double>(load<float>(&from[4 * i])));
    }
    return {};
  }
  return convert_integers(from, from_type, to, to_type);
}

}  // namespace diptych::runtime
