#include "engine/cells.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "engine/vector_ops.h"

namespace diptych::engine {
namespace {

template <class T>
void widen_ints(const std::byte* packed, uint64_t count, std::byte* cells) {
  for (uint64_t i = 0; i < count; ++i) {
    store<int32_t>(cells + i * kCellSize, load<T>(packed + i * sizeof(T)));
  }
}

}  // namespace

bool has_cells(DType dtype) {
  switch (dtype) {
    case DType::Bool:
    case DType::Int8:
    case DType::Int16:
    case DType::Int32:
    case DType::UInt8:
    case DType::UInt16:
    case DType::F16:
    case DType::F32:
      return true;
    default:
      return false;
  }
}

bool is_cell(DType dtype) { return dtype == DType::F32 || dtype == DType::Int32; }

uint64_t element_size(DType dtype) { return (static_cast<uint64_t>(bit_width(dtype)) + 7) / 8; }

void widen(DType dtype, const std::byte* packed, uint64_t count, std::byte* cells) {
  switch (dtype) {
    case DType::F16:
      return halves_to_floats(packed, count, reinterpret_cast<float*>(cells));
    case DType::Int8:
      return widen_ints<int8_t>(packed, count, cells);
    case DType::Int16:
      return widen_ints<int16_t>(packed, count, cells);
    case DType::UInt8:
      return widen_ints<uint8_t>(packed, count, cells);
    case DType::UInt16:
      return widen_ints<uint16_t>(packed, count, cells);
    case DType::Bool:
      for (uint64_t i = 0; i < count; ++i) {
        store<int32_t>(cells + i * kCellSize, packed[i] != std::byte{0});
      }
      return;
    default:  // fp32 and int32
      if (count > 0) std::memcpy(cells, packed, count * kCellSize);
  }
}

uint64_t narrow(DType dtype, const std::byte* cells, uint64_t count, std::byte* packed) {
  switch (dtype) {
    case DType::F32:
    case DType::Int32:
      if (count > 0) std::memcpy(packed, cells, count * kCellSize);
      break;
    case DType::F16:
      return floats_to_halves(reinterpret_cast<const float*>(cells), count, packed);
    default: {
      const uint64_t size = element_size(dtype);
      for (uint64_t i = 0; i < count; ++i) {
        const int32_t value = wrap(dtype, load<int32_t>(cells + i * kCellSize));
        std::memcpy(packed + i * size, &value, size);  // little-endian: the low bytes come first
      }
    }
  }
  return 0;
}

int32_t wrap(DType dtype, int64_t value) {
  switch (dtype) {
    case DType::Bool:
      return value != 0;
    case DType::Int8:
      return static_cast<int8_t>(value);
    case DType::Int16:
      return static_cast<int16_t>(value);
    case DType::UInt8:
      return static_cast<uint8_t>(value);
    case DType::UInt16:
      return static_cast<uint16_t>(value);
    default:
      return static_cast<int32_t>(value);
  }
}

uint32_t cell_of(DType dtype, double value) {
  if (is_float(dtype)) return std::bit_cast<uint32_t>(static_cast<float>(value));
  const bool fits = std::abs(value) < 0x1p62;  // false for NaN
  return static_cast<uint32_t>(wrap(dtype, fits ? static_cast<int64_t>(value) : 0));
}

}  // namespace diptych::engine
