// The rules that every program keeps, whoever made it.
#pragma once

#include "pte/program.h"

namespace diptych::pte {

inline constexpr size_t kMaxRank = 16;  // the stock runtime's limit

// Checks what the encoding cannot: every index is in range, names are unique and printable, sizes
// are sane, constants are as large as the tensors that use them, and planned tensors lie inside
// their arenas. Reader and writer call it. Errors name the method and the value. It does not check
// that values are written before they are read, because only backends know which arguments are
// outputs.
Status check(const Program& program);

}  // namespace diptych::pte
