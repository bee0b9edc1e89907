#include "kernels/linear.h"

#include "kernels/variant.h"

namespace diptych::kernels {

const Variant& variant_of(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::Avx2:
      return kAvx2Variant;
    case Isa::AvxVnni:
      return kAvxVnniVariant;
    case Isa::Avx512:
    case Isa::Avx512Bf16:
      return kAvx512Variant;
    case Isa::Amx:
      return kAmxVariant;
#endif
    default:
      return kScalarVariant;
  }
}

void linear(Isa isa, const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
            int64_t last, float* y, int64_t y_stride) {
  variant_of(isa).linear(weight, x, first, last, {y, y_stride});
}

void linear_float(Isa isa, const FloatWeight& weight, const float* x, int64_t x_stride,
                  int64_t m_rows, int64_t first, int64_t last, float* y, int64_t y_stride) {
  variant_of(isa).linear_float(weight, {x, x_stride, m_rows}, first, last, {y, y_stride});
}

void linear_dequantized(Isa isa, const LinearWeight& weight, const float* x, int64_t x_stride,
                        int64_t m_rows, int64_t first, int64_t last, float* y, int64_t y_stride) {
  variant_of(isa).linear_dequantized(weight, {x, x_stride, m_rows}, first, last, {y, y_stride});
}

}  // namespace diptych::kernels
