#include <cmath>
#include <limits>

#include "base/half.h"
#include "numpy/npy.h"

namespace diptych::numpy {
namespace {

// One element of any type: integers up to 2^64 do not fit a double.
struct Number {
  bool is_float = false;
  double real = 0;         // of floats
  bool negative = false;   // of integers
  uint64_t magnitude = 0;  // of integers

  double value() const {
    if (is_float) return real;
    const auto size = static_cast<double>(magnitude);
    return negative ? -size : size;
  }
};

template <class T>
Number integer(const std::byte* from) {
  const T value = load<T>(from);
  const bool negative = std::is_signed_v<T> && value < 0;
  const auto bits = static_cast<uint64_t>(value);
  return {false, 0, negative, negative ? 0 - bits : bits};
}
Number real(double value) { return {true, value, false, 0}; }

Number element(DType dtype, const std::byte* from) {
  switch (dtype) {
    case DType::Bool:
    case DType::UInt8:
      return integer<uint8_t>(from);
    case DType::Int8:
      return integer<int8_t>(from);
    case DType::Int16:
      return integer<int16_t>(from);
    case DType::Int32:
      return integer<int32_t>(from);
    case DType::Int64:
      return integer<int64_t>(from);
    case DType::UInt16:
      return integer<uint16_t>(from);
    case DType::UInt32:
      return integer<uint32_t>(from);
    case DType::UInt64:
      return integer<uint64_t>(from);
    case DType::F16:
      return real(static_cast<double>(half_to_float(load<uint16_t>(from))));
    case DType::F32:
      return real(static_cast<double>(load<float>(from)));
    default:
      return real(load<double>(from));
  }
}

// Whether `number` is an integer from lowest to highest; `out` gets it.
template <class T>
bool put_integer(const Number& number, uint64_t highest, std::byte* to) {
  bool negative = number.negative;
  uint64_t magnitude = number.magnitude;
  if (number.is_float) {
    const double size = std::fabs(number.real);
    if (!(size < 0x1p64) || size != std::floor(size)) return false;
    negative = std::signbit(number.real) && size > 0;
    magnitude = static_cast<uint64_t>(size);
  }
  const uint64_t limit = negative ? (std::is_signed_v<T> ? highest + 1 : 0) : highest;
  if (magnitude > limit) return false;
  store(to, static_cast<T>(negative ? 0 - magnitude : magnitude));
  return true;
}
template <class T>
bool put_integer(const Number& number, std::byte* to) {
  return put_integer<T>(number, static_cast<uint64_t>(std::numeric_limits<T>::max()), to);
}

bool put(const Number& number, DType dtype, std::byte* to) {
  const auto stays_finite = [&](double rounded) {
    return std::isfinite(rounded) || !std::isfinite(number.value());
  };
  switch (dtype) {
    case DType::Bool:
      return put_integer<uint8_t>(number, 1, to);
    case DType::Int8:
      return put_integer<int8_t>(number, to);
    case DType::Int16:
      return put_integer<int16_t>(number, to);
    case DType::Int32:
      return put_integer<int32_t>(number, to);
    case DType::Int64:
      return put_integer<int64_t>(number, to);
    case DType::UInt8:
      return put_integer<uint8_t>(number, to);
    case DType::UInt16:
      return put_integer<uint16_t>(number, to);
    case DType::UInt32:
      return put_integer<uint32_t>(number, to);
    case DType::UInt64:
      return put_integer<uint64_t>(number, to);
    case DType::F16: {
      const uint16_t half = float_to_half(static_cast<float>(number.value()));
      store(to, half);
      return stays_finite(static_cast<double>(half_to_float(half)));
    }
    case DType::F32: {
      const auto single = static_cast<float>(number.value());
      store(to, single);
      return stays_finite(static_cast<double>(single));
    }
    case DType::F64:
      store(to, number.value());
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<Array> converted(const Array& array, DType dtype) {
  if (array.type.dtype == dtype) return array;
  Array result{{dtype, array.type.shape}, {}};
  result.data.resize(TRY(packed_size(result.type)));
  const auto from = static_cast<size_t>(bit_width(array.type.dtype) / 8);
  const auto to = static_cast<size_t>(bit_width(dtype) / 8);
  for (size_t i = 0; i * from < array.data.size(); ++i) {
    const Number number = element(array.type.dtype, &array.data[i * from]);
    if (!put(number, dtype, &result.data[i * to])) {
      return invalid_argument("element {} is {}, which {} cannot hold", i, number.value(),
                              name(dtype));
    }
  }
  return result;
}

}  // namespace diptych::numpy
