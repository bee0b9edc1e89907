// Indices that a program computes: which are legal, and how one that is not is reported.
#pragma once

#include "engine/lowering.h"

namespace diptych::engine {

// Up to opset CoreML6 negative indices count from the end; from CoreML7 on they are outside.
inline bool negative_indices(const Lowering& lowering) {
  return lowering.opset() < mil::Opset::CoreML7;
}

// The place in [0, size) of an index that check_index() has passed.
inline int64_t resolve_index(int64_t index, int64_t size) {
  return index < 0 ? index + size : index;
}

inline Status check_index(int64_t index, int64_t position, int64_t size, bool negative) {
  const int64_t least = negative ? -size : 0;
  if (index >= least && index < size) return {};
  return invalid_argument("index {} at position {} is outside [{}, {})", index, position, least,
                          size);
}

}  // namespace diptych::engine
