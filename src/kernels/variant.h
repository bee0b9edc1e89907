// The kernels of one instruction set, behind function pointers. Private to this folder.
//
// A variant's file is compiled with the options of its instruction set. It must not define anything
// that other files define too: no inline functions or templates but those in unnamed namespaces,
// none of the standard library's.
#pragma once

#include "kernels/activations.h"
#include "kernels/bf16.h"
#include "kernels/dot_loop.h"
#include "kernels/linear.h"
#include "kernels/palette.h"

namespace diptych::kernels {

namespace {
constexpr int64_t quotient_rounded_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
}  // namespace

// Rows [first, last) of `rows` rows of x.
struct QuantizeCall {
  const float* x;
  int64_t x_stride, columns;
  DType weights;
  int64_t rows, first, last;
};

template <class Number>
struct InputRows {
  const Number* data;
  int64_t stride, rows;
};
using FloatInput = InputRows<float>;

// Bytes of a row of x in bf16, filled up to whole registers.
// (Inlined always: files for several instruction sets include this.)
[[gnu::always_inline]] constexpr int64_t bf16_row_bytes(int64_t columns) {
  return (columns + 31) / 32 * 64;
}

// Rows [first, last) of `rows` rows of x.
struct Bf16Call {
  const float* x;
  int64_t x_stride, columns, rows, first, last;
};

struct Output {
  float* data;
  int64_t stride;
};

// Rows [first, last) of the weight.
template <class Weight>
struct IntegerTask {
  const Weight& weight;
  const QuantizedActivations& x;
  int64_t first, last;
  Output y;
  bool fetch_ahead;  // fetch_choice.h
};
using LinearTask = IntegerTask<LinearWeight>;
using PaletteTask = IntegerTask<PaletteWeight>;

struct Variant {
  size_t chunk_bytes;
  int chunk_columns;
  int tile_rows;  // rows of x that are quantised together when there are so many; 1: never
  void (*quantize)(const QuantizeCall& call, std::byte* out);
  void (*linear)(const LinearTask& task);
  void (*linear_float)(const FloatWeight& weight, const FloatInput& x, int64_t first, int64_t last,
                       const Output& y);
  void (*linear_dequantized)(const LinearWeight& weight, const FloatInput& x, int64_t first,
                             int64_t last, const Output& y);
};

// linear_palette() and linear_palette_dequantized(), for the activations of the variant.
struct PaletteKernels {
  int bits_in_place;  // looks_up_in_place() holds for so many at most
  void (*linear)(const PaletteTask& task);
  void (*linear_dequantized)(const PaletteWeight& weight, const FloatInput& x, int64_t first,
                             int64_t last, const Output& y);
};

// What there is besides where arithmetic in bf16 is.
struct Bf16Kernels {
  void (*round_to_bf16)(const Bf16Call& call, std::byte* out);
  void (*linear_bf16)(const FloatWeight& weight, const Bf16Activations& x, int64_t first,
                      int64_t last, const Output& y);
};

// All that is written for one instruction set. Null: nothing of its own, so that what is written
// for the one that it builds on is used (isas.inc).
struct IsaKernels {
  const Variant* variant = nullptr;
  const PaletteKernels* palettes = nullptr;
  const Bf16Kernels* bf16 = nullptr;
  const DotLoops* dot_loops = nullptr;
};

// The kernels of a row, in variant_<name>.cc, and what they point to: its own file may define that
// or another (bf16_<name>.cc, palette_<name>.cc, dot_loop_<name>.cc). What a row has nothing for is
// only declared.
#define DIPTYCH_ISA(id, ...)                   \
  extern const IsaKernels k##id##Kernels;      \
  extern const Variant k##id##Variant;         \
  extern const PaletteKernels k##id##Palettes; \
  extern const Bf16Kernels k##id##InBf16;      \
  extern const DotLoops k##id##DotLoops;
#include "kernels/isas.inc"

}  // namespace diptych::kernels
