// A program file as text, for people.
#pragma once

#include "pte/program.h"

namespace diptych::pte {

// Returns several lines for a program that was read: layout, methods (inputs, outputs, delegates,
// instructions), constants with their values, named data. Long lists are cut, and say so.
std::string dump(const Program& program);

// One value of a method: "%3: fp16[1,4,511,8]", "%0: 512".
std::string describe(const Method& method, int32_t index);

}  // namespace diptych::pte
