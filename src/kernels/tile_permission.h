// AMX keeps 8 KiB of tiles per thread, which Linux saves only for processes that have asked.
#pragma once

namespace diptych::kernels {

// Asks the operating system, once for all threads, and says whether the tiles may be used. Linux,
// Documentation/arch/x86/xstate.rst.
bool tiles_permitted();

}  // namespace diptych::kernels
