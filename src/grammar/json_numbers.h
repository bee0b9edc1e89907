// Numbers between bounds, as they are written.
#pragma once

#include <cstdint>
#include <optional>

#include "grammar/expression.h"

namespace diptych::grammar {

struct Bound {
  double value = 0;
  bool exclusive = false;
};

// Integers between the bounds, of at most kMostDigits digits; what matches nothing where there are
// none.
Expression integers_between(std::optional<Bound> low, std::optional<Bound> high);
// The same for numbers, without exponents, of at most kMostDigits digits before and behind the
// point.
Expression numbers_between(std::optional<Bound> low, std::optional<Bound> high);

}  // namespace diptych::grammar
