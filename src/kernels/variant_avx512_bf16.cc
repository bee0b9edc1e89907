// Arithmetic in bf16 by AVX-512: vdpbf16ps adds two products to each of 16 sums. Rows of x follow
// one another as they are.
#if defined(__x86_64__)

#include "kernels/avx512_bf16.h"

namespace diptych::kernels {
namespace {

void round_rows(const Bf16Call& call, std::byte* out) {
  const int64_t row_bytes = bf16_row_bytes(call.columns);
  for (int64_t m = call.first; m < call.last; ++m) {
    const auto* const from = reinterpret_cast<const std::byte*>(call.x + m * call.x_stride);
    convert_row<Avx512Bf16, DType::F32>(from, call.columns, out + m * row_bytes);
  }
}

void linear_bf16(const FloatWeight& weight, const Bf16Activations& x, int64_t first, int64_t last,
                 const Output& y) {
  const InputRows<uint16_t> rows{reinterpret_cast<const uint16_t*>(x.data),
                                 bf16_row_bytes(x.columns) / 2, x.rows};
  const FloatCall<Avx512Bf16> call{x.columns, rows, last, y};
  if (weight.dtype == DType::F16) {
    multiply_floats<Avx512Bf16, DType::F16>(call, weight, first);
  } else {
    multiply_floats<Avx512Bf16, DType::BF16>(call, weight, first);
  }
}

}  // namespace

const Bf16Kernels kAvx512Bf16InBf16 = {round_rows, linear_bf16};
const IsaKernels kAvx512Bf16Kernels = {nullptr, &kAvx512Bf16Palettes, &kAvx512Bf16InBf16,
                                       &kAvx512Bf16DotLoops};

}  // namespace diptych::kernels

#endif
