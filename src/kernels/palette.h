// y = x * W^T for weights that are indices into tables of a few entries, where they lie in a mapped
// file. What linear.h promises holds here too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/activations.h"
#include "kernels/isa.h"

namespace diptych::kernels {

// Indices [rows, columns] of `bits` bits, the lowest bits of a byte first; rows begin at bytes and
// follow one another without gaps. `rows_per_table` rows share a table of 2^bits entries.
struct PaletteWeight {
  const std::byte* data = nullptr;
  int bits = 4;  // 4, 6 or 8
  int64_t rows = 0, columns = 0, rows_per_table = 0;
  // For linear_palette(): the tables' entries as integers, and what these are multiplied with.
  const int8_t* codes = nullptr;  // [rows / rows_per_table][2^bits]
  const float* scales = nullptr;  // [rows]
  // For linear_palette_dequantized(): the entries.
  const float* entries = nullptr;  // [rows / rows_per_table][2^bits]
};

// Whether there are kernels for indices of so many bits in such rows.
constexpr bool can_look_up(int bits, int64_t columns) {
  return (bits == 4 || bits == 6 || bits == 8) && columns > 0 && columns * bits % 8 == 0;
}

// Whether a table's weights meet activations that are quantised for int4 or for int8.
constexpr DType palette_activations(int bits) { return bits == 4 ? DType::Int4 : DType::Int8; }

// Writes the integers that come nearest to `entries`, as multiples of what is returned. They are
// exact if the entries are multiples, by at most 127, of some number; otherwise the largest becomes
// 127. An entry that is not finite makes the scale NaN.
float palette_codes(std::span<const float> entries, int8_t* codes);

// Whether linear_palette() looks up indices of so many bits at about the speed at which it reads
// them. Where it does not, linear() over what look_up_codes() gives is faster and comes to the same
// bits.
bool looks_up_in_place(Isa isa, int bits);

// Rows [first, last) of codes, one after another: with a scale per row, int8 weights.
void look_up_codes(const PaletteWeight& weight, int64_t first, int64_t last, int8_t* out);

// y[m * y_stride + r] for all rows m of x and the weight's rows r in [first, last), in integers as
// linear() computes int8. x is quantised for palette_activations(weight.bits).
void linear_palette(Isa isa, const PaletteWeight& weight, const QuantizedActivations& x,
                    int64_t first, int64_t last, float* y, int64_t y_stride);

// Bit for bit what linear_float() makes of the entries in fp32; x as there.
void linear_palette_dequantized(Isa isa, const PaletteWeight& weight, const float* x,
                                int64_t x_stride, int64_t m_rows, int64_t first, int64_t last,
                                float* y, int64_t y_stride);

}  // namespace diptych::kernels
