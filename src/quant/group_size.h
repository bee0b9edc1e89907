// How large the groups of a matrix are. Private to src/quant.
#pragma once

#include "quant/format.h"

namespace diptych::quant {

// The inputs that share a scale, or the rows that share a table, of a matrix of `shape`.
inline int64_t group_size(const Format& format, const Shape& shape) {
  return format.group == 0 ? shape[grouped(format).axis] : format.group;
}

}  // namespace diptych::quant
