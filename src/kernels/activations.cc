#include "kernels/activations.h"

#include <algorithm>

#include "kernels/isa_kernels.h"
#include "kernels/kernel_memory.h"
#include "kernels/outliers.h"

namespace diptych::kernels {

namespace {

// Of the rows in blocks, without their outliers.
size_t block_bytes(Isa isa, int64_t rows, int64_t columns) {
  const Variant& variant = variant_of(isa);
  if (rows >= variant.tile_rows)
    rows = quotient_rounded_up(rows, variant.tile_rows) * variant.tile_rows;
  return static_cast<size_t>(rows * quotient_rounded_up(columns, variant.chunk_columns)) *
         variant.chunk_bytes;
}

}  // namespace

size_t quantized_bytes(Isa isa, int64_t rows, int64_t columns) {
  const auto outliers = static_cast<int64_t>(sizeof(Outliers)) * rows;
  return block_bytes(isa, rows, columns) +
         static_cast<size_t>(quotient_rounded_up(outliers, 64) * 64);
}

const Outliers* outliers_of(Isa isa, const QuantizedActivations& x) {
  return reinterpret_cast<const Outliers*>(x.data + block_bytes(isa, x.rows, x.columns));
}

void quantize(Isa isa, const float* x, int64_t x_stride, int64_t columns, DType weights,
              int64_t rows, int64_t first, int64_t last, std::byte* out) {
  const Variant& variant = variant_of(isa);
  auto* const outliers = reinterpret_cast<Outliers*>(out + block_bytes(isa, rows, columns));
  for (int64_t m = first; m < last; ++m) {
    const float* row = x + m * x_stride;
    const Outliers& found = outliers[m] = find_outliers(row, columns);
    if (found.count > 0) {
      const auto bytes = static_cast<size_t>(columns) * sizeof(float);
      auto* const others = reinterpret_cast<float*>(kernel_memory(KernelMemory::Row, bytes));
      std::copy_n(row, columns, others);
      for (int k = 0; k < found.count; ++k) others[found.columns[k]] = 0;
      row = others;
    }
    variant.quantize({row, 0, columns, weights, rows, m, m + 1}, out);
  }
}

}  // namespace diptych::kernels
