// Element types and shapes, shared by every format and by the IR.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diptych {

// Names follow Core ML's MIL ("fp16", "int4"). Sub-byte types are packed least significant bits
// first, as one bit stream over the whole row-major tensor.
enum class DType : uint8_t {
  Bool,
  String,
  Int4,
  Int8,
  Int16,
  Int32,
  Int64,
  UInt1,
  UInt2,
  UInt3,
  UInt4,
  UInt6,
  UInt8,
  UInt16,
  UInt32,
  UInt64,
  F8E4M3FN,
  F8E5M2,
  F16,
  BF16,
  F32,
  F64,
};

std::string_view name(DType dtype);
// The dtype of a MIL name; an unknown name is an error.
Result<DType> dtype_from_name(std::string_view name);
// Bits of one element; 0 for String.
int bit_width(DType dtype);
bool is_float(DType dtype);
bool is_integer(DType dtype);  // Bool is neither
inline bool is_sub_byte(DType dtype) { return bit_width(dtype) > 0 && bit_width(dtype) < 8; }

using Shape = std::vector<int64_t>;

// "[1,32,128]"; "[]" for a scalar. Of very long shapes, the first 32 dimensions and their number.
std::string to_string(const Shape& shape);

// Product of the dimensions; 1 for a scalar. Negative dimensions and overflow are errors.
Result<uint64_t> element_count(const Shape& shape);

struct TensorType {
  DType dtype = DType::F32;
  Shape shape;

  bool operator==(const TensorType&) const = default;
  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
};

// "fp16[1,32,128]"; a scalar has no brackets: "int32".
std::string to_string(const TensorType& type);

// Bytes of the packed tensor: ceil(elements * bits / 8). String is an error.
Result<uint64_t> packed_size(const TensorType& type);

}  // namespace diptych
