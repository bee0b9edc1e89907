// Features of this CPU that not every compiler's __builtin_cpu_supports() knows.
#pragma once

namespace diptych::kernels {

// The wide registers of AVX2 must be usable too.
bool has_f16c();

// Dot products of bytes in registers of AVX2.
bool has_avx_vnni();

// Arithmetic in bf16, in registers of AVX-512.
bool has_avx512_bf16();

// Matrix instructions for int8 and bf16, and the tiles they need: 8 KiB per thread, which Linux
// saves only for processes that have asked. The first call asks, for all threads (Linux,
// Documentation/arch/x86/xstate.rst).
bool has_tiles();

}  // namespace diptych::kernels
