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
// Numbers between the bounds, without exponents. Close to bounds that are not whole not every
// number that would do is written.
Expression numbers_between(std::optional<Bound> low, std::optional<Bound> high);

}  // namespace diptych::grammar
