#include "kernels/bf16.h"

#include "kernels/isa_kernels.h"

namespace diptych::kernels {

namespace {

// Null where there are none.
const Bf16Kernels* kernels_of(Isa isa) {
  return nearest(isa, [](const IsaKernels& kernels) { return kernels.bf16; });
}

}  // namespace

bool has_bf16(Isa isa) { return kernels_of(isa) != nullptr; }

size_t bf16_bytes(int64_t rows, int64_t columns) {
  return static_cast<size_t>(rows * bf16_row_bytes(columns));
}

void round_to_bf16(Isa isa, const float* x, int64_t x_stride, int64_t columns, int64_t rows,
                   int64_t first, int64_t last, std::byte* out) {
  kernels_of(isa)->round_to_bf16({x, x_stride, columns, rows, first, last}, out);
}

void linear_bf16(Isa isa, const FloatWeight& weight, const Bf16Activations& x, int64_t first,
                 int64_t last, float* y, int64_t y_stride) {
  kernels_of(isa)->linear_bf16(weight, x, first, last, {y, y_stride});
}

}  // namespace diptych::kernels
