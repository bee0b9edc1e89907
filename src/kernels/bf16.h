// y = x * W^T with both sides rounded to bf16: 8 bits of precision instead of fp16's 11, products
// and sums in fp32. For instruction sets whose processors multiply twice as many numbers so.
//
// As in linear.h, weights stay where they lie, and every result depends on its row of x, its row of
// W and the instruction set alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/linear.h"

namespace diptych::kernels {

// Whether what follows may be called for an instruction set.
bool has_bf16(Isa isa);

// Rows of x in bf16. Immutable once made; any number of threads may read it.
struct Bf16Activations {
  const std::byte* data = nullptr;  // aligned to 64 bytes, laid out as the instruction set wants it
  int64_t rows = 0, columns = 0;
};

// Bytes of such rows, a multiple of 64.
size_t bf16_bytes(int64_t rows, int64_t columns);

// Rounds rows [first, last) of the `rows` rows of x, row m at x + m * x_stride, to nearest, ties to
// even, to their places in `out`, which is aligned to 64 bytes and has room for all rows.
// Magnitudes below 2^-126 become zeros.
void round_to_bf16(Isa isa, const float* x, int64_t x_stride, int64_t columns, int64_t rows,
                   int64_t first, int64_t last, std::byte* out);

// y[m * y_stride + r] for all rows m of x and the weight's rows r in [first, last). The weight is
// of F16 or BF16 and has the columns of x; its values are rounded as those of x are. Two products
// at a time are added to a sum, with one rounding or two; sums below 2^-126 become zeros.
void linear_bf16(Isa isa, const FloatWeight& weight, const Bf16Activations& x, int64_t first,
                 int64_t last, float* y, int64_t y_stride);

}  // namespace diptych::kernels
