// The kernels of one instruction set, behind function pointers. Private to this folder.
//
// A variant's file is compiled with the options of its instruction set. It must not define anything
// that other files define too: no inline functions or templates but those in unnamed namespaces,
// none of the standard library's.
#pragma once

#include "kernels/activations.h"
#include "kernels/linear.h"

namespace diptych::kernels {

struct FloatInput {
  const float* data;
  int64_t stride, rows;
};

struct Output {
  float* data;
  int64_t stride;
};

struct Variant {
  void (*quantize_row)(const float* x, int64_t columns, DType weights, ActivationChunk* out);
  void (*linear)(const LinearWeight& weight, const QuantizedActivations& x, int64_t first,
                 int64_t last, const Output& y);
  void (*linear_float)(const FloatWeight& weight, const FloatInput& x, int64_t first, int64_t last,
                       const Output& y);
};

extern const Variant kScalarVariant;
#if defined(__x86_64__)
extern const Variant kAvx2Variant;
extern const Variant kAvx512Variant;
#endif

const Variant& variant_of(Isa isa);

}  // namespace diptych::kernels
