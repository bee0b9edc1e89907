// The loops that measure how fast this CPU computes integer dot products, with the instructions
// that src/kernels uses for weights of 4 and 8 bits in one instruction set.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace diptych::measure {

struct DotLoop {
  int64_t multiply_adds_per_round = 0;
  // Does so many rounds on one thread; the value means nothing but must be used.
  int32_t (*run)(int64_t rounds) = nullptr;
};

// `bits` is 4 or 8. `run` is null for an instruction set without such instructions.
DotLoop dot_loop(kernels::Isa isa, int bits);

// By instruction set: x86-64 only, and only for machines that have it.
extern const DotLoop kAvx2Int4Loop, kAvx2Int8Loop, kAvxVnniLoop, kAvx512Loop, kAmxLoop;

}  // namespace diptych::measure
