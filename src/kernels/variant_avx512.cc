// AVX-512 with VNNI.
#if defined(__x86_64__)

#include "kernels/avx512.h"
#include "kernels/quantize_avx2.h"

namespace diptych::kernels {

const Variant kAvx512Variant = {sizeof(Chunk512),
                                Chunk512::kColumns,
                                1,
                                quantize_rows<Avx2Quantizer, Chunk512>,
                                linear<Avx512>,
                                linear_float<Avx512>,
                                linear_dequantized<Avx512>};

}  // namespace diptych::kernels

#endif
