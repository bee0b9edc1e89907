// Memory of the calling thread for what a kernel keeps besides registers: panels of weights, sums,
// a row of x. They are as large as a level of cache, and a thread may have less stack than that.
#pragma once

#include <cstddef>

namespace diptych::kernels {

enum class KernelMemory : unsigned char { Panel, Sums, Row, kCount };

// At least `bytes`, at a multiple of 64, of unknown contents; one block for each kind and thread,
// which stays until the thread asks for more of the kind or ends.
std::byte* kernel_memory(KernelMemory kind, size_t bytes);

}  // namespace diptych::kernels
