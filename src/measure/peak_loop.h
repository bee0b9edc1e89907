// The loop that measures how fast this CPU multiplies and adds fp32, in the widest vectors it has.
#pragma once

#include <cstddef>
#include <cstdint>

namespace diptych::measure {

// Multiply-adds that one round does.
size_t multiply_adds_per_round();
// Does so many rounds on one thread; the value means nothing but must be used.
float multiply_add_loop(int64_t rounds);

}  // namespace diptych::measure
