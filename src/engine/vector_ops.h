// The few vectorised loops that the engine's time is spent in, dispatched at run time to the best
// instruction set of the machine (Highway).
//
// Every result depends only on the elements that it is made of and on their number, never on how
// many rows are computed together or on addresses. Pointers to std::byte need no alignment.
#pragma once

#include <cstddef>
#include <cstdint>

namespace diptych::engine {

// out[i * out_stride] = sum over k < n of w[k] * x[i * x_stride + k], for i < rows.
void dot_rows(const float* w, const float* x, size_t x_stride, size_t rows, size_t n, float* out,
              size_t out_stride);

// out[j] = sum over i < rows, in that order, of p[i] * v[i * v_stride + j], for j < n.
void weighted_sum(const float* p, const float* v, size_t v_stride, size_t rows, size_t n,
                  float* out);

// The sum of n floats, in an order that depends on n alone.
float sum(const float* x, size_t n);

// Packed fp16 to floats, exactly.
void halves_to_floats(const std::byte* halves, size_t n, float* out);

// Floats to packed fp16, rounded to the nearest. Returns how many finite values became infinite.
uint64_t floats_to_halves(const float* x, size_t n, std::byte* halves);

// Replaces each float by the nearest fp16 value. Returns how many finite values became infinite.
uint64_t round_to_halves(float* x, size_t n);

// Scales of a row of quantised elements: element i belongs to block i / block.
struct BlockScales {
  const float* scales;
  const float* offsets;  // null means 0
  size_t block;          // elements; divides the row's length
  bool round_to_half;    // round each product to fp16
};

// out[i] = scale * (q[first + i] - offset), for i < n, where q are packed 4-bit elements (low
// nibble first) or bytes. Return how many finite products became infinite when rounded.
uint64_t dequantize_int4(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                         float* out);
uint64_t dequantize_uint4(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                          float* out);
uint64_t dequantize_int8(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                         float* out);
uint64_t dequantize_uint8(const std::byte* q, uint64_t first, size_t n, const BlockScales& scales,
                          float* out);

// The nearest integers to x / scale, ties to even, plus zero, within [low, high]; of NaN, zero. And
// back: scale * (q - zero).
struct Steps {
  float scale, zero, low, high;
};
void floats_to_steps(const float* x, size_t n, const Steps& steps, int32_t* out);
void steps_to_floats(const int32_t* q, size_t n, const Steps& steps, float* out);

}  // namespace diptych::engine
