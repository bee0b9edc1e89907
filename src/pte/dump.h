// A program file as text, for people.
#pragma once

#include "pte/program.h"

namespace diptych::pte {

// Several lines: layout, methods (inputs, outputs, delegates, instructions), constants with their
// values, named data. Long lists are cut, and say so. For programs that were read.
std::string dump(const Program& program);

// "%3: fp16[1,4,511,8]", "%0: 512": one value of a method.
std::string describe(const Method& method, int32_t index);

}  // namespace diptych::pte
