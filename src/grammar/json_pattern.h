// The regular expressions of a schema's "pattern", as far as a grammar can say them.
#pragma once

#include <string_view>

#include "base/error.h"
#include "grammar/expression.h"
#include "grammar/json_rules.h"

namespace diptych::grammar {

// What matches strings of JSON, quotes included, whose text the pattern matches. Known are
// characters, ".", classes, \d \w \s and their opposites, groups, alternatives and repetitions, and
// ^ and $ at the ends; without these anything may stand before and behind. Others are refused, with
// the place.
Result<Expression> json_pattern(std::string_view pattern, const JsonRules& json);

}  // namespace diptych::grammar
