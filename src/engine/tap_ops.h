// Rows of windows that slide: every element of a row takes in the same taps, each a fixed way from
// it. Dispatched at run time to the best instruction set of the machine (Highway). An element's
// bits depend on what it takes in alone, which it does in the taps' order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace diptych::engine {

// Elements behind the last one of a row that may be read.
inline constexpr size_t kTapSlack = 16;

struct Taps {
  const int64_t* offsets;  // element i reads from[offsets[t] + i]
  size_t count;
};

// out[i] takes in x = from[offsets[t] + i] for each tap t, for i < n.
// out[i] += weights[t] * x
void add_weighted_taps(const float* from, const Taps& taps, const float* weights, size_t n,
                       float* out);
// out[i] += x, and x * x
void add_taps(const float* from, const Taps& taps, size_t n, float* out);
void add_squared_taps(const float* from, const Taps& taps, size_t n, float* out);
// out[i] = the larger of both; NaN if one of them is.
void take_largest_taps(const float* from, const Taps& taps, size_t n, float* out);

}  // namespace diptych::engine
