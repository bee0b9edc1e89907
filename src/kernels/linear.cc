#include "kernels/linear.h"

#include "kernels/fetch_choice.h"
#include "kernels/isa_kernels.h"
#include "kernels/outliers.h"
#include "kernels/tiles.h"

namespace diptych::kernels {

const Variant& variant_of(Isa isa) {
  return *nearest(isa, [](const IsaKernels& kernels) { return kernels.variant; });
}

void linear(Isa isa, const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
            int64_t last, float* y, int64_t y_stride) {
  const auto run = [&](bool fetch_ahead) {
    run_and_add_outliers(isa, weight, x, first, last, y, y_stride, [&](int64_t begin, int64_t end) {
      variant_of(isa).linear({weight, x, begin, end, {y, y_stride}, fetch_ahead});
    });
  };
  if (x.rows != 1) return run(fetch_choice().ahead());
  fetch_choice().run((last - first) * row_bytes(weight), run);
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
