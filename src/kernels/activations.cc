#include "kernels/activations.h"

#include "kernels/isa_kernels.h"

namespace diptych::kernels {

size_t quantized_bytes(Isa isa, int64_t rows, int64_t columns) {
  const Variant& variant = variant_of(isa);
  if (rows >= variant.tile_rows)
    rows = quotient_rounded_up(rows, variant.tile_rows) * variant.tile_rows;
  return static_cast<size_t>(rows * quotient_rounded_up(columns, variant.chunk_columns)) *
         variant.chunk_bytes;
}

void quantize(Isa isa, const float* x, int64_t x_stride, int64_t columns, DType weights,
              int64_t rows, int64_t first, int64_t last, std::byte* out) {
  variant_of(isa).quantize({x, x_stride, columns, weights, rows, first, last}, out);
}

}  // namespace diptych::kernels
