// The loops that measure how fast this CPU computes dot products of integers and of bf16, with the
// instructions that src/kernels uses in fast numerics.
#pragma once

#include <cstdint>

#include "kernels/isa.h"
#include "tensor/type.h"

namespace diptych::measure {

struct DotLoop {
  int64_t multiply_adds_per_round = 0;
  // Does so many rounds on one thread; the value means nothing but must be used.
  int32_t (*run)(int64_t rounds) = nullptr;
};

// For weights of a type: Int4, Int8, or F16, which become bf16. `run` is null for an instruction
// set without such instructions.
DotLoop dot_loop(kernels::Isa isa, DType weights);

// By instruction set: x86-64 only, and only for machines that have it.
extern const DotLoop kAvx2Int4Loop, kAvx2Int8Loop, kAvxVnniLoop, kAvx512Loop, kAvx512Bf16Loop,
    kAmxLoop, kAmxBf16Loop;

}  // namespace diptych::measure
