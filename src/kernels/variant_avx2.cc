// AVX2 with FMA and F16C.
#if defined(__x86_64__)

#include "kernels/avx2.h"

namespace diptych::kernels {

const Variant kAvx2Variant = vector_variant<Avx2>();
const PaletteKernels kAvx2Palettes = vector_palettes<Avx2>();
const IsaKernels kAvx2Kernels = {&kAvx2Variant, &kAvx2Palettes, nullptr, &kAvx2DotLoops};

}  // namespace diptych::kernels

#endif
