// The loops that measure how fast this CPU computes dot products of integers and of bf16, with the
// instructions that the kernels use.
#pragma once

#include <cstdint>

#include "kernels/arithmetic.h"
#include "kernels/isa.h"

namespace diptych::kernels {

struct DotLoop {
  int64_t multiply_adds_per_round = 0;
  // Does so many rounds on one thread; the value means nothing but must be used.
  int32_t (*run)(int64_t rounds) = nullptr;
};

// Those of one instruction set, in a file of its own: dot_loop_<name>.cc. Without `run`: none of
// its own. (No default values: files for several instruction sets include this.)
struct DotLoops {
  DotLoop int4, int8, bf16;
};

// `run` is null where an instruction set has no dot products of the kind, and for fp32, which has
// no such instructions. It may be called on machines that have the instruction set.
DotLoop dot_loop(Isa isa, Arithmetic arithmetic);

}  // namespace diptych::kernels
