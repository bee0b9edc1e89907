// Loops over a group of weights, four at a time. Private to src/quant.
//
// These choose between scales whose errors may be almost equal, and what they choose is written to
// files. So that every machine writes the same file, they use the instructions that all machines
// have, four lanes whatever this one offers, and neither fused products nor library functions that
// round in ways of their own. (The compiler's vector types; files that include this are compiled
// with -ffp-contract=off.)
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "quant/format.h"

namespace diptych::quant::lanes {

inline constexpr size_t kLanes = 4;
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));

inline Floats all(float value) { return Floats{value, value, value, value}; }
inline Floats largest(Floats a, Floats b) { return a > b ? a : b; }
inline Floats smallest(Floats a, Floats b) { return a < b ? a : b; }
// Never -0, by which one must not divide.
inline Floats magnitude(Floats a) { return a > 0 ? a : Floats{} - a; }
inline Floats root(Floats a) {
  return Floats{std::sqrt(a[0]), std::sqrt(a[1]), std::sqrt(a[2]), std::sqrt(a[3])};
}

// Elements from `at` on, zeros beyond the end.
inline Floats load(std::span<const float> elements, size_t at) {
  Floats lanes{};
  if (at + kLanes <= elements.size()) {
    std::memcpy(&lanes, elements.data() + at, sizeof lanes);
    return lanes;
  }
  for (size_t i = 0; at + i < elements.size(); ++i) lanes[i] = elements[at + i];
  return lanes;
}

inline double sum(Floats terms) {
  return (static_cast<double>(terms[0]) + static_cast<double>(terms[1])) +
         (static_cast<double>(terms[2]) + static_cast<double>(terms[3]));
}

// The nearest codes of weights, as floats.
class Rounder {
 public:
  Rounder(float scale, int bits)
      : inverse_(all(1.0f / scale)),
        lowest_(all(static_cast<float>(lowest_code(bits)))),
        highest_(all(static_cast<float>(highest_code(bits)))) {}

  Floats operator()(Floats weights) const {
    const Floats scaled = smallest(largest(weights * inverse_, lowest_), highest_);
    // Where floats are whole numbers apart, a sum is rounded to one, half to even.
    const Floats far = all(0x1.8p23f);
    return (scaled + far) - far;
  }

 private:
  Floats inverse_, lowest_, highest_;
};

}  // namespace diptych::quant::lanes
