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

bool looks_up_in_place(Isa isa, int bits) { return bits <= palettes_of(isa).bits_in_place; }

void look_up_codes(const PaletteWeight& weight, int64_t first, int64_t last, int8_t* out) {
  const int64_t row_bytes = weight.columns * weight.bits / 8;
  const uint32_t mask = (1u << weight.bits) - 1;
  for (int64_t row = first; row < last; ++row) {
    const int8_t* const table = weight.codes + (row / weight.rows_per_table << weight.bits);
    const std::byte* const end = weight.data + (row + 1) * row_bytes;
    uint32_t window = 0;  // bits that were read and not used
    int left = 0;
    for (const std::byte* from = end - row_bytes; from < end; ++from) {
      window |= static_cast<uint32_t>(*from) << left;
      for (left += 8; left >= weight.bits; left -= weight.bits) {
        *out++ = table[window & mask];
        window >>= weight.bits;
      }
    }
  }
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
