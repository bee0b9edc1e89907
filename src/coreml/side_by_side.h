// The same work for each of several functions of a model. Private to src/coreml.
#pragma once

#include <cstddef>

#include "base/thread_pool.h"

namespace diptych::coreml {

// Calls body(size_t index) for all indices below `count`, on the threads of `pool` if one is given.
template <class Body>
void side_by_side(ThreadPool* pool, size_t count, const Body& body) {
  const auto bodies = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(static_cast<size_t>(i));
  };
  if (pool != nullptr) {
    pool->parallel_for(static_cast<int64_t>(count), 1, bodies);
  } else {
    bodies(0, static_cast<int64_t>(count));
  }
}

}  // namespace diptych::coreml
