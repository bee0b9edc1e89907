// AVX-512 with VNNI.
#if defined(__x86_64__)

#include "kernels/avx512.h"

namespace diptych::kernels {

const Variant kAvx512Variant = vector_variant<Avx512>();
const PaletteKernels kAvx512Palettes = vector_palettes<Avx512>();
const IsaKernels kAvx512Kernels = {&kAvx512Variant, &kAvx512Palettes, nullptr, &kAvx512DotLoops};

}  // namespace diptych::kernels

#endif
