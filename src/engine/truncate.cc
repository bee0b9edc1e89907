#include "engine/truncate.h"

#include <algorithm>
#include <cmath>

namespace diptych::engine {

int32_t truncate(DType dtype, float value) {
  if (dtype == DType::Bool) return value != 0;
  if (std::isnan(value)) return 0;
  const bool is_unsigned = dtype == DType::UInt8 || dtype == DType::UInt16;
  const int bits = bit_width(dtype);
  const double low = is_unsigned ? 0 : -std::ldexp(1.0, bits - 1);
  const double high = std::ldexp(1.0, is_unsigned ? bits : bits - 1) - 1;
  return static_cast<int32_t>(std::clamp(std::trunc(static_cast<double>(value)), low, high));
}

}  // namespace diptych::engine
