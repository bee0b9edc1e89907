#include "runtime/convert.h"

#include <algorithm>
#include <cmath>

#include "tensor/convert.h"

namespace diptych::runtime {

namespace {

Shape as_passed(const Shape& shape) { return shape.empty() ? Shape{1} : shape; }

bool is_whole_byte_integer(DType dtype) {
  return dtype == DType::Bool ||
         (is_integer(dtype) && !is_sub_byte(dtype) && dtype != DType::UInt64);
}

bool is_convertible(DType dtype) { return is_castable(dtype) || is_whole_byte_integer(dtype); }

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

size_t width(DType dtype) { return static_cast<size_t>(bit_width(dtype)) / 8; }

Status convert_integers(Bytes from, DType from_type, MutableBytes to, DType to_type) {
  const size_t from_width = width(from_type), to_width = width(to_type);
  for (size_t i = 0; i * from_width < from.size(); ++i) {
    int64_t value = load_integer(&from[i * from_width], from_type);
    if (to_type == DType::Bool) value = value != 0;
    std::memcpy(&to[i * to_width], &value, to_width);  // little-endian: the low bytes come first
    if (load_integer(&to[i * to_width], to_type) != value) {
      return invalid_argument("element {} is {}, which does not fit {}", i, value, name(to_type));
    }
  }
  return {};
}

// One float of any type as a double, exactly, and back.
double load_float(const std::byte* at, DType dtype) {
  if (dtype == DType::F64) return load<double>(at);
  float value = 0;
  convert_floats(at, dtype, 1, reinterpret_cast<std::byte*>(&value), DType::F32);
  return value;
}
void store_float(double value, std::byte* at, DType dtype) {
  if (dtype == DType::F64) return store(at, value);
  const auto narrow = static_cast<float>(value);
  convert_floats(reinterpret_cast<const std::byte*>(&narrow), DType::F32, 1, at, dtype);
}

void integers_to_floats(Bytes from, DType from_type, MutableBytes to, DType to_type) {
  const size_t from_width = width(from_type), to_width = width(to_type);
  for (size_t i = 0; i * from_width < from.size(); ++i) {
    const int64_t value = load_integer(&from[i * from_width], from_type);
    store_float(static_cast<double>(value), &to[i * to_width], to_type);
  }
}

// The smallest and the largest integer of a type, as the nearest doubles that it holds.
std::pair<double, double> range_of(DType dtype) {
  const bool is_unsigned =
      dtype == DType::UInt8 || dtype == DType::UInt16 || dtype == DType::UInt32;
  const int bits = bit_width(dtype) - (is_unsigned ? 0 : 1);
  const double high = std::ldexp(1.0, bits);
  return {is_unsigned ? 0 : -high, bits > 53 ? std::nextafter(high, 0) : high - 1};
}

void floats_to_integers(Bytes from, DType from_type, MutableBytes to, DType to_type) {
  const size_t from_width = width(from_type), to_width = width(to_type);
  const auto [low, high] = range_of(to_type);
  for (size_t i = 0; i * from_width < from.size(); ++i) {
    const double value = load_float(&from[i * from_width], from_type);
    int64_t integer = 0;
    if (to_type == DType::Bool) {
      integer = value != 0;
    } else if (!std::isnan(value)) {
      integer = static_cast<int64_t>(std::clamp(std::trunc(value), low, high));
    }
    std::memcpy(&to[i * to_width], &integer, to_width);
  }
}

}  // namespace

bool can_pass(const TensorType& from, const TensorType& to) {
  return as_passed(from.shape) == as_passed(to.shape) &&
         (from.dtype == to.dtype || (is_convertible(from.dtype) && is_convertible(to.dtype)));
}

Status convert(Bytes from, DType from_type, MutableBytes to, DType to_type) {
  const bool from_float = is_castable(from_type), to_float = is_castable(to_type);
  if (from_float && to_float) {
    convert_floats(from.data(), from_type, from.size() / width(from_type), to.data(), to_type);
  } else if (from_float) {
    floats_to_integers(from, from_type, to, to_type);
  } else if (to_float) {
    integers_to_floats(from, from_type, to, to_type);
  } else {
    return convert_integers(from, from_type, to, to_type);
  }
  return {};
}

}  // namespace diptych::runtime
