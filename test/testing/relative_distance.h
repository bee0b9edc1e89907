// How far two lists of numbers are apart.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

namespace diptych::testing {

// The root of sum (a - b)^2 / sum b^2; infinite where the sizes differ or a number of `a` is no
// finite one.
inline double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double off = 0, all = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i])) return std::numeric_limits<double>::infinity();
    off += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    all += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(off / all);
}

}  // namespace diptych::testing
