#include "engine/numerics.h"

namespace diptych::engine {

std::string_view name(Numerics numerics) {
  return numerics == Numerics::Typed ? "typed" : "precise";
}

Result<Numerics> numerics_from_name(std::string_view name) {
  if (name == "typed") return Numerics::Typed;
  if (name == "precise") return Numerics::Precise;
  return invalid_argument("unknown numerics '{}': expected typed or precise", name);
}

}  // namespace diptych::engine
