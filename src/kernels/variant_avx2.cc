// AVX2 with FMA and F16C.
#if defined(__x86_64__)

#include "kernels/avx2.h"
#include "kernels/quantize_avx2.h"

namespace diptych::kernels {

const Variant kAvx2Variant = {sizeof(Chunk256),
                              Chunk256::kColumns,
                              1,
                              quantize_rows<Avx2Quantizer, Chunk256>,
                              linear<Avx2>,
                              linear_float<Avx2>,
                              linear_dequantized<Avx2>};

}  // namespace diptych::kernels

#endif
