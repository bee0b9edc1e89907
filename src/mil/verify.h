// Checks the rules of the IR. Run after reading a file and between passes.
#pragma once

#include "mil/ir.h"

namespace diptych::mil {

// Structure: names unique, values defined before use and belonging to the function, results linked
// to their producers, outputs defined. Types: every operation of the table has the parameters it
// needs and the declared types of its results are the inferred ones. Operations that are not in the
// table are reported only when `allow_unknown` is false. All findings are listed in one error.
Status verify(const Function& function, bool allow_unknown = false);
Status verify(const Program& program, bool allow_unknown = false);

}  // namespace diptych::mil
