// For tests in which instruction sets are emulated.
#include "kernels/cpu_features.h"

namespace diptych::kernels {

bool has_f16c() { return true; }
bool has_avx_vnni() { return true; }
bool has_avx512_bf16() { return true; }
bool has_tiles() { return true; }

}  // namespace diptych::kernels
