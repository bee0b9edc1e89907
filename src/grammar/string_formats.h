// The "format"s of JSON Schema that an answer can be held to, as patterns.
#pragma once

#include <string>
#include <string_view>

namespace diptych::grammar {

// The regular expression, anchored, of texts in a format ("date", "uuid" …); empty for one that is
// not known. Dates and times are those of RFC 3339, leap seconds apart.
std::string pattern_of_format(std::string_view format);

}  // namespace diptych::grammar
