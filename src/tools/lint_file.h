// The rules of lint/lint.h applied to a file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lint/lint.h"
#include "tools/inspect.h"

namespace diptych::tools {

// The packages of a file, as far as they can be read. `inspection` lives as long as the subject;
// `hidden` is what a language model's masks hide with.
lint::Subject lint_subject(const Inspection& inspection, std::optional<float> hidden);

// Looks at a .pte, .mlpackage or .mlmodel. Errors: those of opening it.
Result<std::vector<lint::Finding>> lint_file(const std::string& path);

}  // namespace diptych::tools
