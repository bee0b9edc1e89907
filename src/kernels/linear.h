// y = x * W^T for weights where they lie in a mapped file: at any address, never repacked, and
// nothing read but their own bytes.
//
// Every result depends on its row of x and its row of W alone, bit for bit: not on the other rows,
// nor on how a caller divides the work. It does depend on the instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activations.h"
#include "kernels/isa.h"
#include "tensor/type.h"

namespace diptych::kernels {

// Integer weights [rows, columns], two's complement, int4 two to a byte with the even column in the
// low half. Scales and offsets [rows, columns / block]: a weight is scale * (q - offset). Rows
// follow one another without gaps.
struct LinearWeight {
  const std::byte* data = nullptr;
  DType dtype = DType::Int4;  // Int4 or Int8
  int64_t rows = 0, columns = 0;
  const std::byte* scales = nullptr;
  DType scale_dtype = DType::F16;      // F16 or F32
  int64_t block = 0;                   // columns per scale
  const std::byte* offsets = nullptr;  // of the scales' dtype; null: all 0
};

// Whether linear() takes weights of such rows: with a scale for each `block` columns, a multiple of
// kBlock that divides the columns; or with one scale, or one for each kHalfBlock columns, and no
// offsets. Rows of int4 must fill their bytes.
constexpr bool supported(DType weights, int64_t columns, int64_t block, bool offsets = false) {
  if (columns <= 0 || block <= 0 || columns % block != 0) return false;
  const bool without_offsets = block == columns || block == kHalfBlock;
  if ((!without_offsets || offsets) && block % kBlock != 0) return false;
  return weights == DType::Int8 || (weights == DType::Int4 && columns % 2 == 0);
}
constexpr bool supported(const LinearWeight& weight) {
  return supported(weight.dtype, weight.columns, weight.block, weight.offsets != nullptr);
}

// Weights [rows, columns] of any number of columns.
struct FloatWeight {
  const std::byte* data = nullptr;
  DType dtype = DType::F16;  // F16, BF16 or F32
  int64_t rows = 0, columns = 0;
};

// Rows of a weight that meet several rows of x together as integers: with some instruction sets it
// is best to call linear() for multiples of them.
inline constexpr int64_t kIntegerRowsAtOnce = 16;

// y[m * y_stride + r] for all rows m of x and the weight's rows r in [first, last). x is quantised
// for the weight's dtype and has its columns.
void linear(Isa isa, const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
            int64_t last, float* y, int64_t y_stride);

// Rows of a weight that meet several rows of x together as floats: it is best to call the functions
// below for multiples of them.
inline constexpr int64_t kFloatRowsAtOnce = 48;

// The same for float weights, of rows m in [0, m_rows) of x, row m at x + m * x_stride. Computed in
// fp32.
void linear_float(Isa isa, const FloatWeight& weight, const float* x, int64_t x_stride,
                  int64_t m_rows, int64_t first, int64_t last, float* y, int64_t y_stride);

// Whether linear_dequantized() takes weights of such rows: with a scale for each `block` columns, a
// multiple of 16 that divides the columns; or with one scale. Rows of int4 must fill their bytes.
constexpr bool can_dequantize(DType weights, int64_t columns, int64_t block) {
  if (columns <= 0 || block <= 0 || columns % block != 0) return false;
  if (block != columns && block % 16 != 0) return false;
  return weights == DType::Int8 || (weights == DType::Int4 && columns % 2 == 0);
}
constexpr bool can_dequantize(const LinearWeight& weight) {
  return can_dequantize(weight.dtype, weight.columns, weight.block);
}

// Bit for bit what linear_float() makes of the fp32 weights (q - offset) * scale.
void linear_dequantized(Isa isa, const LinearWeight& weight, const float* x, int64_t x_stride,
                        int64_t m_rows, int64_t first, int64_t last, float* y, int64_t y_stride);

}  // namespace diptych::kernels
