#include "measure/dot_loop.h"

namespace diptych::measure {

namespace {

DotLoop integer_loop(kernels::Isa isa, [[maybe_unused]] DType weights) {
  switch (isa) {
#if defined(__x86_64__)
    case kernels::Isa::Avx2:
      return weights == DType::Int4 ? kAvx2Int4Loop : kAvx2Int8Loop;
    case kernels::Isa::AvxVnni:
      return kAvxVnniLoop;
    case kernels::Isa::Avx512:
    case kernels::Isa::Avx512Bf16:
      return kAvx512Loop;
    case kernels::Isa::Amx:
      return kAmxLoop;
#endif
    default:
      return {};
  }
}

DotLoop bf16_loop(kernels::Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case kernels::Isa::Avx512Bf16:
      return kAvx512Bf16Loop;
    case kernels::Isa::Amx:
      return kAmxBf16Loop;
#endif
    default:
      return {};
  }
}

}  // namespace

DotLoop dot_loop(kernels::Isa isa, DType weights) {
  return weights == DType::F16 ? bf16_loop(isa) : integer_loop(isa, weights);
}

}  // namespace diptych::measure
