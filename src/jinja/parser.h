// Builds the tree of a template. The grammar is Jinja 3.1's.
#pragma once

#include <string_view>

#include "jinja/ast.h"

namespace diptych::jinja {

// `source` is valid UTF-8. What is wrong or not supported is refused with line and column:
// statements, filters and tests by name, nesting beyond any sensible depth.
Result<Block> parse(std::string_view source);

}  // namespace diptych::jinja
