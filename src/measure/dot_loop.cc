#include "measure/dot_loop.h"

namespace diptych::measure {

DotLoop dot_loop(kernels::Isa isa, [[maybe_unused]] int bits) {
  switch (isa) {
#if defined(__x86_64__)
    case kernels::Isa::Avx2:
      return bits == 4 ? kAvx2Int4Loop : kAvx2Int8Loop;
    case kernels::Isa::AvxVnni:
      return kAvxVnniLoop;
    case kernels::Isa::Avx512:
      return kAvx512Loop;
    case kernels::Isa::Amx:
      return kAmxLoop;
#endif
    default:
      return {};
  }
}

}  // namespace diptych::measure
