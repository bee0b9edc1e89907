#include "kernels/activations.h"

#include "kernels/variant.h"

namespace diptych::kernels {

namespace {

int64_t row_bytes(int64_t columns) {
  return (columns + kChunk - 1) / kChunk * static_cast<int64_t>(sizeof(ActivationChunk));
}

}  // namespace

size_t quantized_bytes(int64_t rows, int64_t columns) {
  return static_cast<size_t>(rows * row_bytes(columns));
}

void quantize(Isa isa, const float* x, int64_t x_stride, int64_t columns, DType weights,
              int64_t first, int64_t last, std::byte* out) {
  const Variant& variant = variant_of(isa);
  for (int64_t m = first; m < last; ++m) {
    variant.quantize_row(x + m * x_stride, columns, weights,
                         reinterpret_cast<ActivationChunk*>(out + m * row_bytes(columns)));
  }
}

}  // namespace diptych::kernels
