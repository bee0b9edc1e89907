#include "kernels/activations.h"

#include "kernels/isa_kernels.h"

namespace diptych::kernels {

namespace {

int64_t in_groups_of(int64_t size, int64_t count) { return (count + size - 1) / size; }

}  // namespace

size_t quantized_bytes(Isa isa, int64_t rows, int64_t columns) {
  const Variant& variant = variant_of(isa);
  if (rows >= variant.tile_rows) rows = in_groups_of(variant.tile_rows, rows) * variant.tile_rows;
  return static_cast<size_t>(rows * in_groups_of(variant.chunk_columns, columns)) *
         variant.chunk_bytes;
}

void quantize(Isa isa, const float* x, int64_t x_stride, int64_t columns, DType weights,
              int64_t rows, int64_t first, int64_t last, std::byte* out) {
  variant_of(isa).quantize({x, x_stride, columns, weights, rows, first, last}, out);
}

}  // namespace diptych::kernels
