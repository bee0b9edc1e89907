// What this CPU and its operating system have: for each row of the table of instruction sets
// (isas.inc) what it adds to the one that it builds on.
#pragma once

namespace diptych::kernels {

// True.
bool has_plain_instructions();

// AVX2, FMA and F16C.
bool has_avx2();

// Dot products of bytes in registers of AVX2.
bool has_avx_vnni();

// AVX-512 F, BW, VL, DQ and VNNI.
bool has_avx512();

// Arithmetic in bf16, in registers of AVX-512, and any order of their bytes (VBMI).
bool has_avx512_bf16();

// Matrix instructions for int8 and bf16, and the tiles they need: 8 KiB per thread, which Linux
// saves only for processes that have asked. The first call asks, for all threads (Linux,
// Documentation/arch/x86/xstate.rst).
bool has_tiles();

}  // namespace diptych::kernels
