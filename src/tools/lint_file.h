// The rules of lint/lint.h applied to a file.
#pragma once

#include <string>
#include <vector>

#include "lint/lint.h"
#include "tools/inspect.h"

namespace diptych::tools {

// Looks at the packages of a .pte, .mlpackage or .mlmodel. `inspection` is that of the file and
// lives as long as the subject. What cannot be read of it is left out.
lint::Subject lint_subject(const Inspection& inspection, const std::string& path);

}  // namespace diptych::tools
