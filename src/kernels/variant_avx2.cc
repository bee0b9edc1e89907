// AVX2 with FMA and F16C.
#if defined(__x86_64__)

#include "kernels/avx2.h"

namespace diptych::kernels {

const Variant kAvx2Variant = vector_variant<Avx2>();

}  // namespace diptych::kernels

#endif
