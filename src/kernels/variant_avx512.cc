// AVX-512 with VNNI.
#if defined(__x86_64__)

#include "kernels/avx512.h"

namespace diptych::kernels {

const Variant kAvx512Variant = vector_variant<Avx512>();

}  // namespace diptych::kernels

#endif
