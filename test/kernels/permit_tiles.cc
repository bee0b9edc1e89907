// For tests in which tiles are emulated.
#include "kernels/tile_permission.h"

namespace diptych::kernels {

bool tiles_permitted() { return true; }

}  // namespace diptych::kernels
