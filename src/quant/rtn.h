// The arithmetic of symmetric weight quantisation, one row at a time.
//
// It is that of torchao's IntxWeightOnly (SYMMETRIC), bit for bit: every operation is done in the
// weight's own type T (fp16 or fp32) and rounded to it. For each group of columns
//   m     = max |w|
//   scale = max(m / ((2^bits - 1) / 2), smallest normal number of T)
//   code  = clamp(round_half_even(w * (1 / scale)), -2^(bits-1), 2^(bits-1) - 1)
// so that w = -m becomes the lowest code and w = +m, which would round beyond the highest, is
// clipped to it. fp16 operations are fp32 operations whose result is rounded: exact, because fp32
// has more than twice fp16's digits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace diptych::quant {

// fp16 is passed as its bits.
//
// Quantises `groups` consecutive groups of `group` elements each. codes: [groups * group], or null
// when only the scales are wanted; scales: [groups], values of T. bits is 4 or 8. Returns false
// when an element is infinite or NaN; the output is then unspecified.
bool quantize_groups(const uint16_t* in, size_t groups, size_t group, int bits, int8_t* codes,
                     float* scales);
bool quantize_groups(const float* in, size_t groups, size_t group, int bits, int8_t* codes,
                     float* scales);

// The same without vector instructions: the specification of the above.
bool quantize_groups_reference(const uint16_t* in, size_t groups, size_t group, int bits,
                               int8_t* codes, float* scales);
bool quantize_groups_reference(const float* in, size_t groups, size_t group, int bits,
                               int8_t* codes, float* scales);

}  // namespace diptych::quant
