#include "kernels/palette.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/fetch_choice.h"
#include "kernels/isa_kernels.h"
#include "kernels/outliers.h"

namespace diptych::kernels {

namespace {

constexpr double kLargest = 127;

const PaletteKernels& palettes_of(Isa isa) {
  return *nearest(isa, [](const IsaKernels& kernels) { return kernels.palettes; });
}

// The largest number that all entries are multiples of, by at most kLargest; 0 when there is none.
double common_unit(std::span<const float> entries, double largest) {
  // In units of the last bit that a number needs whose multiple by 127 is the largest entry: others
  // would be multiplied by more.
  const double bit = std::ldexp(1.0, std::ilogb(largest) - std::numeric_limits<float>::digits - 7);
  int64_t unit = 0;
  for (const float entry : entries) {
    const double steps = static_cast<double>(entry) / bit;
    if (steps != std::floor(steps)) return 0;
    unit = std::gcd(unit, static_cast<int64_t>(steps));
  }
  const double scale = static_cast<double>(unit) * bit;
  return largest / scale <= kLargest ? scale : 0;
}

}  // namespace

float palette_codes(std::span<const float> entries, int8_t* codes) {
  double largest = 0;
  for (const float entry : entries) {
    if (!std::isfinite(entry)) {
      std::fill_n(codes, entries.size(), int8_t{0});
      return std::numeric_limits<float>::quiet_NaN();
    }
    largest = std::max(largest, std::fabs(static_cast<double>(entry)));
  }
  if (largest == 0) {
    std::fill_n(codes, entries.size(), int8_t{0});
    return 0;
  }
  const double exact = common_unit(entries, largest);
  const double scale = exact > 0 ? exact : largest / kLargest;
  for (size_t i = 0; i < entries.size(); ++i) {
    codes[i] = static_cast<int8_t>(std::nearbyint(static_cast<double>(entries[i]) / scale));
  }
  return static_cast<float>(scale);
}

void linear_palette(Isa isa, const PaletteWeight& weight, const QuantizedActivations& x,
                    int64_t first, int64_t last, float* y, int64_t y_stride) {
  run_and_add_outliers(isa, weight, x, first, last, y, y_stride, [&](int64_t begin, int64_t end) {
    palettes_of(isa).linear({weight, x, begin, end, {y, y_stride}, fetch_choice().ahead()});
  });
}

void linear_palette_dequantized(Isa isa, const PaletteWeight& weight, const float* x,
                                int64_t x_stride, int64_t m_rows, int64_t first, int64_t last,
                                float* y, int64_t y_stride) {
  palettes_of(isa).linear_dequantized(weight, {x, x_stride, m_rows}, first, last, {y, y_stride});
}

}  // namespace diptych::kernels
