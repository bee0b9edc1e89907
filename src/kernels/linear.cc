#include "kernels/linear.h"

#include <algorithm>

#include "kernels/fetch_choice.h"
#include "kernels/isa_kernels.h"
#include "kernels/outliers.h"

namespace diptych::kernels {

constexpr int64_t kNearBytes = 16 << 10;

const Variant& variant_of(Isa isa) {
  return *nearest(isa, [](const IsaKernels& kernels) { return kernels.variant; });
}

void linear(Isa isa, const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
            int64_t last, float* y, int64_t y_stride) {
  const auto run = [&](int64_t begin, int64_t end, bool fetch_ahead) {
    variant_of(isa).linear({weight, x, begin, end, {y, y_stride}, fetch_ahead});
  };
  const Outliers* const outliers = outliers_of(isa, x);
  if (x.rows != 1) {
    run(first, last, fetch_choice().ahead());
    return add_outliers(weight, outliers, x.rows, first, last, y, y_stride);
  }
  const int64_t row_bytes = weight.dtype == DType::Int4 ? weight.columns / 2 : weight.columns;
  // So few rows at a time that the first level of cache still has them.
  const int64_t at_once =
      outliers->count == 0 ? last - first : std::max<int64_t>(kNearBytes / row_bytes / 16, 1) * 16;
  fetch_choice().run((last - first) * row_bytes, [&](bool fetch_ahead) {
    for (int64_t row = first; row < last; row += at_once) {
      const int64_t end = std::min(row + at_once, last);
      run(row, end, fetch_ahead);
      add_outliers(weight, outliers, 1, row, end, y, y_stride);
    }
  });
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
