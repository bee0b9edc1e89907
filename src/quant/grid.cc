#include "quant/grid.h"

#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "quant/grid-inl.h"

namespace diptych::quant {

using lanes::Floats, lanes::kLanes;

Fit fit(std::span<const float> weights, std::span<const float> importance, float scale, int bits) {
  const lanes::Rounder round(scale, bits);
  Floats error{}, products{}, squares{};
  for (size_t i = 0; i < weights.size(); i += kLanes) {
    const Floats w = lanes::load(weights, i);
    const Floats important = importance.empty() ? lanes::all(1) : lanes::load(importance, i);
    const Floats code = round(w);
    const Floats off = w - code * scale;
    error += important * off * off;
    products += important * code * w;
    squares += important * code * code;
  }
  return {lanes::sum(error), lanes::sum(products), lanes::sum(squares)};
}

void nearest_codes(std::span<const float> weights, float scale, int bits, int8_t* codes) {
  const lanes::Rounder round(scale, bits);
  for (size_t i = 0; i < weights.size(); i += kLanes) {
    const Floats rounded = round(lanes::load(weights, i));
    const size_t count = std::min(kLanes, weights.size() - i);
    for (size_t j = 0; j < count; ++j) codes[i + j] = static_cast<int8_t>(rounded[j]);
  }
}

QuantizationError& QuantizationError::operator+=(const QuantizationError& other) {
  squares += other.squares;
  source_squares += other.source_squares;
  largest = std::max(largest, other.largest);
  return *this;
}

double QuantizationError::relative() const {
  return source_squares > 0 ? std::sqrt(squares / source_squares) : 0;
}

QuantizationError deviation(std::span<const float> weights, const int8_t* codes, float scale) {
  Floats squares{}, source{};
  for (size_t i = 0; i < weights.size(); i += kLanes) {
    const Floats w = lanes::load(weights, i);
    Floats code{};
    const size_t count = std::min(kLanes, weights.size() - i);
    for (size_t j = 0; j < count; ++j) code[j] = codes[i + j];
    const Floats off = w - code * scale;
    squares += off * off;
    source += w * w;
  }
  return {lanes::sum(squares), lanes::sum(source)};
}

float stored_scale(double scale, DType dtype) {
  const auto narrow = static_cast<float>(scale);
  return dtype == DType::F16 ? std::max(round_to_half(narrow), 0x1p-14f)
                             : std::max(narrow, 0x1p-126f);
}

bool all_finite(std::span<const float> weights) {
  return std::all_of(weights.begin(), weights.end(), [](float w) { return std::isfinite(w); });
}

float largest_scale(std::span<const float> weights, int bits, DType dtype) {
  float largest = 0;
  for (const float w : weights) largest = std::max(largest, std::fabs(w));
  return stored_scale(largest / half_range(bits), dtype);
}

}  // namespace diptych::quant
