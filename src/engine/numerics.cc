#include "engine/numerics.h"

#include <array>

namespace diptych::engine {

namespace {
constexpr std::array<std::string_view, 3> kNames = {"typed", "precise", "fast"};  // by value
}

std::string_view name(Numerics numerics) { return kNames[static_cast<size_t>(numerics)]; }

Result<Numerics> numerics_from_name(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Numerics>(i);
  }
  return invalid_argument("unknown numerics '{}': expected typed, precise or fast", name);
}

Overflows& Overflows::operator+=(const Overflows& later) {
  const uint64_t sum = count + later.count;
  if (count == 0) *this = later;
  count = sum;
  return *this;
}

}  // namespace diptych::engine
