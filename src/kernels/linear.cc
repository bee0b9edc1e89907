#include "kernels/linear.h"

#include "kernels/fetch_choice.h"
#include "kernels/isa_kernels.h"

namespace diptych::kernels {

const Variant& variant_of(Isa isa) {
  return *nearest(isa, [](const IsaKernels& kernels) { return kernels.variant; });
}

void linear(Isa isa, const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
            int64_t last, float* y, int64_t y_stride) {
  const auto run = [&](bool fetch_ahead) {
    variant_of(isa).linear({weight, x, first, last, {y, y_stride}, fetch_ahead});
  };
  if (x.rows != 1) return run(fetch_choice().ahead());
  const int64_t weights = (last - first) * weight.columns;
  fetch_choice().run(weight.dtype == DType::Int4 ? weights / 2 : weights, run);
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
