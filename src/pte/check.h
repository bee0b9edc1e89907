// The rules that every program keeps, whoever made it.
#pragma once

#include "pte/program.h"

namespace diptych::pte {

inline constexpr size_t kMaxRank = 16;  // the stock runtime's limit

// Checks what the encoding cannot: every index is in range, names are unique and printable, sizes
// are sane, constants are as large as the tensors that use them, planned tensors lie inside their
// arenas. The reader applies it to files, the writer to what it is given. Errors name the method
// and the value. It does not judge whether instructions make sense in order: that takes the
// backends' knowledge of which arguments are outputs.
Status check(const Program& program);

}  // namespace diptych::pte
