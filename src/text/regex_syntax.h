// Regular expressions of tokenizer.json files, which are written for Oniguruma, in PCRE2's syntax.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace diptych::text {

// The expression that matches in PCRE2 (with UTF, UCP and multi-line) what `pattern` matches in
// Oniguruma. What the two understand differently is rewritten (\s, \w, \v, \uHHHH) or refused by
// name with its place: nested classes, other escapes, flags but "i", "{,n}".
// Source: the RE document of github.com/kkos/oniguruma; pcre2pattern(3).
Result<std::string> pcre2_from_oniguruma(std::string_view pattern);

}  // namespace diptych::text
