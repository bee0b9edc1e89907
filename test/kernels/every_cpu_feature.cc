// For tests in which instruction sets are emulated: the CPU has every row of the table.
#include "kernels/cpu_features.h"

namespace diptych::kernels {

#define DIPTYCH_ISA(id, name, base, detected, ...) \
  bool detected() { return true; }
#include "kernels/isas.inc"

}  // namespace diptych::kernels
