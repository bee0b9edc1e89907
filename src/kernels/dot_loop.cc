#include "kernels/dot_loop.h"

#include "kernels/isa_kernels.h"

namespace diptych::kernels {

namespace {

const DotLoop* loop_of(const DotLoops& loops, Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::Int4:
      return &loops.int4;
    case Arithmetic::Int8:
      return &loops.int8;
    case Arithmetic::Bf16:
      return &loops.bf16;
    case Arithmetic::Fp32:
      break;
  }
  return nullptr;
}

}  // namespace

DotLoop dot_loop(Isa isa, Arithmetic arithmetic) {
  const DotLoop* const found = nearest(isa, [&](const IsaKernels& kernels) -> const DotLoop* {
    const DotLoop* const own =
        kernels.dot_loops == nullptr ? nullptr : loop_of(*kernels.dot_loops, arithmetic);
    return own != nullptr && own->run != nullptr ? own : nullptr;
  });
  return found == nullptr ? DotLoop() : *found;
}

}  // namespace diptych::kernels
