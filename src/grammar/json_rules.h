// Rules of JSON itself, which schemas' grammars are made of.
#pragma once

#include <vector>

#include "grammar/expression.h"

namespace diptych::grammar {

// Indices into the rules that json_rules() adds.
struct JsonRules {
  size_t space = 0;      // what may stand between tokens: nothing, a space, a line's indented end
  size_t character = 0;  // of a string, as it is written: escaped or plain
  size_t plain = 0;      // the same without escapes
  size_t string = 0, number = 0, integer = 0, boolean = 0, null = 0;
  size_t array = 0, object = 0, value = 0;
};

JsonRules add_json_rules(std::vector<Rule>& rules);

// The pieces that lists and objects are built of.
Expression comma(const JsonRules& json);
Expression opened(const JsonRules& json, char bracket);
Expression closed(const JsonRules& json, char bracket);
Expression digits(size_t least, size_t most);

// The longest numbers that are written: doubles hold them, within rounding.
inline constexpr size_t kMostDigits = 15;

}  // namespace diptych::grammar
