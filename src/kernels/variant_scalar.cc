// The specification of the kernels, in plain C++.
#include "base/bytes.h"
#include "base/half.h"
#include "kernels/quantize_row.h"
#include "kernels/variant.h"

namespace diptych::kernels {

namespace {

float load_float(const std::byte* data, DType dtype, int64_t index) {
  if (dtype == DType::F32) return load<float>(data + 4 * index);
  const auto bits = load<uint16_t>(data + 2 * index);
  return dtype == DType::BF16 ? bfloat16_to_float(bits) : half_to_float(bits);
}

int load_int(const std::byte* data, DType dtype, int64_t index) {
  if (dtype == DType::Int8) return load<int8_t>(data + index);
  const int nibble = load<uint8_t>(data + index / 2) >> (index % 2 * 4) & 15;
  return (nibble ^ 8) - 8;
}

// The value of a column of a chunk.
int activation(const ActivationChunk& chunk, DType weights, int column) {
  const int in_block = static_cast<int>(column % kBlock), at = 8 * kSlots[column / kBlock];
  if (weights == DType::Int8) return chunk.planes[in_block / 8][at + in_block % 8];
  return chunk.planes[in_block / 16 * 2 + in_block % 2][at + in_block % 16 / 2];
}

float dot(const LinearWeight& weight, const ActivationChunk* x, int64_t row) {
  const int64_t scales_per_row = weight.columns / weight.block;
  float sum = 0;
  for (int64_t begin = 0; begin < weight.columns; begin += kBlock) {
    const ActivationChunk& chunk = x[begin / kChunk];
    const int in_chunk = static_cast<int>(begin % kChunk);
    int products = 0;
    for (int i = 0; i < kBlock && begin + i < weight.columns; ++i) {
      products += load_int(weight.data, weight.dtype, row * weight.columns + begin + i) *
                  activation(chunk, weight.dtype, in_chunk + i);
    }
    sum +=
        static_cast<float>(products) * chunk.scales[2 * kSlots[in_chunk / kBlock]] *
        load_float(weight.scales, weight.scale_dtype, row * scales_per_row + begin / weight.block);
  }
  return sum;
}

void linear(const LinearWeight& weight, const QuantizedActivations& x, int64_t first, int64_t last,
            const Output& y) {
  const auto* chunks = reinterpret_cast<const ActivationChunk*>(x.data);
  const int64_t chunks_per_row = (x.columns + kChunk - 1) / kChunk;
  for (int64_t m = 0; m < x.rows; ++m) {
    for (int64_t row = first; row < last; ++row) {
      y.data[m * y.stride + row] = dot(weight, chunks + m * chunks_per_row, row);
    }
  }
}

void linear_float(const FloatWeight& weight, const FloatInput& x, int64_t first, int64_t last,
                  const Output& y) {
  for (int64_t m = 0; m < x.rows; ++m) {
    for (int64_t row = first; row < last; ++row) {
      float sum = 0;
      for (int64_t i = 0; i < weight.columns; ++i) {
        sum += load_float(weight.data, weight.dtype, row * weight.columns + i) *
               x.data[m * x.stride + i];
      }
      y.data[m * y.stride + row] = sum;
    }
  }
}

}  // namespace

const Variant kScalarVariant = {quantize_row, linear, linear_float};

}  // namespace diptych::kernels
