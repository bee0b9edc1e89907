// Checks the rules of the IR. Run after reading a file and between passes.
#pragma once

#include "mil/ir.h"

namespace diptych::mil {

// Checks structure and types. Names are unique; values belong to the function and are defined
// before their use; results are linked to their producers; outputs are defined. Operations of the
// table have the parameters they need, and results have the inferred types. Operations outside the
// table fail unless `allow_unknown` is true. One error lists all findings.
Status verify(const Function& function, bool allow_unknown = false);
Status verify(const Program& program, bool allow_unknown = false);

}  // namespace diptych::mil
