#include "tensor/type.h"

#include <fmt/format.h>

#include <array>
#include <span>

#include "base/bytes.h"

namespace diptych {

namespace {

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  int bits;
  enum Class { Other, Integer, Float } kind;
};

constexpr std::array kDTypes = {
    DTypeInfo{DType::Bool, "bool", 8, DTypeInfo::Other},
    DTypeInfo{DType::String, "string", 0, DTypeInfo::Other},
    DTypeInfo{DType::Int4, "int4", 4, DTypeInfo::Integer},
    DTypeInfo{DType::Int8, "int8", 8, DTypeInfo::Integer},
    DTypeInfo{DType::Int16, "int16", 16, DTypeInfo::Integer},
    DTypeInfo{DType::Int32, "int32", 32, DTypeInfo::Integer},
    DTypeInfo{DType::Int64, "int64", 64, DTypeInfo::Integer},
    DTypeInfo{DType::UInt1, "uint1", 1, DTypeInfo::Integer},
    DTypeInfo{DType::UInt2, "uint2", 2, DTypeInfo::Integer},
    DTypeInfo{DType::UInt3, "uint3", 3, DTypeInfo::Integer},
    DTypeInfo{DType::UInt4, "uint4", 4, DTypeInfo::Integer},
    DTypeInfo{DType::UInt6, "uint6", 6, DTypeInfo::Integer},
    DTypeInfo{DType::UInt8, "uint8", 8, DTypeInfo::Integer},
    DTypeInfo{DType::UInt16, "uint16", 16, DTypeInfo::Integer},
    DTypeInfo{DType::UInt32, "uint32", 32, DTypeInfo::Integer},
    DTypeInfo{DType::UInt64, "uint64", 64, DTypeInfo::Integer},
    DTypeInfo{DType::F8E4M3FN, "fp8e4m3fn", 8, DTypeInfo::Float},
    DTypeInfo{DType::F8E5M2, "fp8e5m2", 8, DTypeInfo::Float},
    DTypeInfo{DType::F16, "fp16", 16, DTypeInfo::Float},
    DTypeInfo{DType::BF16, "bf16", 16, DTypeInfo::Float},
    DTypeInfo{DType::F32, "fp32", 32, DTypeInfo::Float},
    DTypeInfo{DType::F64, "fp64", 64, DTypeInfo::Float},
};

const DTypeInfo& info(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

constexpr bool table_is_in_order() {
  for (size_t i = 0; i < kDTypes.size(); ++i) {
    if (static_cast<size_t>(kDTypes[i].dtype) != i) return false;
  }
  return true;
}
static_assert(table_is_in_order());

}  // namespace

std::string_view name(DType dtype) { return info(dtype).name; }
int bit_width(DType dtype) { return info(dtype).bits; }
bool is_float(DType dtype) { return info(dtype).kind == DTypeInfo::Float; }
bool is_integer(DType dtype) { return info(dtype).kind == DTypeInfo::Integer; }

Result<DType> dtype_from_name(std::string_view text) {
  for (const DTypeInfo& entry : kDTypes) {
    if (entry.name == text) return entry.dtype;
  }
  return invalid_data("unknown element type \"{}\"", text);
}

std::string to_string(const Shape& shape) {
  constexpr size_t kMost = 32;
  if (shape.size() <= kMost) return fmt::format("[{}]", fmt::join(shape, ","));
  const std::span<const int64_t> first = std::span(shape).first(kMost);
  return fmt::format("[{},... {} dimensions]", fmt::join(first, ","), shape.size());
}

Result<uint64_t> element_count(const Shape& shape) {
  uint64_t count = 1;
  bool empty = false;
  for (int64_t dimension : shape) {
    if (dimension < 0) return invalid_data("shape {} has a negative dimension", to_string(shape));
    if (dimension == 0) {
      empty = true;
    } else if (!checked_mul(count, static_cast<uint64_t>(dimension), &count) || count > INT64_MAX) {
      return invalid_data("the number of elements of shape {} overflows", to_string(shape));
    }
  }
  return empty ? 0 : count;
}

std::string to_string(const TensorType& type) {
  std::string text(name(type.dtype));
  return type.shape.empty() ? text : text + to_string(type.shape);
}

Result<uint64_t> packed_size(const TensorType& type) {
  const int bits = bit_width(type.dtype);
  if (bits == 0) return invalid_data("a string tensor has no packed size");
  const uint64_t count = TRY(element_count(type.shape));
  uint64_t total_bits = 0;
  if (!checked_mul(count, static_cast<uint64_t>(bits), &total_bits) ||
      total_bits > UINT64_MAX - 7) {
    return invalid_data("the size of {} overflows", to_string(type));
  }
  return (total_bits + 7) / 8;
}

}  // namespace diptych
